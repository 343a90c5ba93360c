"""Frozen values that every room shares. Nothing here reads a clock, a socket or a file."""
