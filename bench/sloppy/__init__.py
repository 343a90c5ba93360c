"""Clients that behave badly, and whether what they are charged is what the model API used."""
