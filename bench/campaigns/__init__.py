"""Synthetic campaigns and look-alikes over a base of unrelated accounts, and what they measure.

Everything is drawn from a seed: the same seed gives the same bytes. Traffic is streamed from one
small generator per account, merged by time, so memory does not grow with its length.
"""
