"""Recorded traffic through the same engine on the recording's clock."""
