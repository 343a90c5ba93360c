"""What the emulated model API answers: pure functions from a request to a reply, by surface."""
