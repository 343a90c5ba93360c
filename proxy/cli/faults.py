"""Errors whose text is for the person at the keyboard, from every room that reads their files."""

from proxy.audit.errors import AuditError
from proxy.cli.admin import AdminError
from proxy.facts.directory import DirectoryError
from proxy.facts.places import PlacesError
from proxy.policy.problem import ProblemsError
from proxy.replay.traffic import TrafficError

FAULTS = (AdminError, AuditError, DirectoryError, PlacesError, ProblemsError, TrafficError)


def in_words(fault: Exception) -> str:
    """A fault as the person at the keyboard is told it: with the lines of his files."""
    return fault.pictured if isinstance(fault, ProblemsError) else str(fault)
