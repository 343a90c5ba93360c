"""Gauger: a reverse proxy that meters a model API, links accounts and records every decision."""

__version__ = "0.1.0"
