"""Trying policies before they bite: test cases, explanations, differences over traffic."""
