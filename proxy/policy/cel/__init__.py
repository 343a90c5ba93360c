"""Conditions in CEL: checked when they are loaded, divided into clauses, and made into atoms.

A condition is type-checked as a whole, so that faults have their places. It is then divided at its
`&&`, `||` and `!`: each clause between them is a table where it is of a simple form, and compiled
CEL otherwise. Invariant: neither the division nor a table changes what a condition says. Logic is
three-valued on both sides: what is not known, or cannot be evaluated, matters only where no
other clause settles the outcome.
"""

from proxy.policy.cel.environment import Environment
from proxy.policy.cel.text import CelError, CelFault

__all__ = ["CelError", "CelFault", "Environment"]
