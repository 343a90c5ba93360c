"""Benchmarks of Gauger. Nothing here is shipped, and nothing in `proxy` imports it."""
