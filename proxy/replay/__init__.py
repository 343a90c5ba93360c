"""Recorded traffic through the same engine on the recording's clock."""

from proxy.replay.session import Session

__all__ = ["Session"]
