"""What the fingerprints of a prompt cost."""
