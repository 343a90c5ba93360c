"""What exchanges feel of a shared store that fails in the middle of load."""
