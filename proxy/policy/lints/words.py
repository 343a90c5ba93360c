"""How warnings quote what they are about."""

from proxy.policy.match import Atom

LONGEST = 80


def quoted(atom: Atom) -> str:
    """A condition as the file has it, shortened."""
    text = atom.text
    return f"`{text if len(text) <= LONGEST else text[: LONGEST - 1] + '…'}`"
