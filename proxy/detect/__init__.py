"""Linking accounts: sightings in, a versioned index of what they share out."""
