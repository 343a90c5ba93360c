"""Counters: taken all or none, corrected once the true usage is known."""
