"""Errors whose text is for the person at the keyboard, from every room that reads their files."""

from proxy.audit.errors import AuditError
from proxy.facts.directory import DirectoryError
from proxy.facts.places import PlacesError
from proxy.policy.problem import ProblemsError
from proxy.replay.traffic import TrafficError

FAULTS = (AuditError, DirectoryError, PlacesError, ProblemsError, TrafficError)
