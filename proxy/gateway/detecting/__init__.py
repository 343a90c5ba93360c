"""The detector in a live gateway: its process, what goes to it, and what comes back."""
