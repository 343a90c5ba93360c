"""A place in a YAML file, to which what is wrong there is told."""

from dataclasses import dataclass

from proxy.policy.yamlfile import Document, Path


@dataclass(frozen=True, slots=True)
class Spot:
    """A path in a document. Faults are gathered in the document."""

    document: Document
    path: Path = ()

    def at(self, *below: str | int) -> "Spot":
        """A place below it."""
        return Spot(self.document, (*self.path, *below))

    def fault(self, message: str) -> None:
        """Something is wrong with the value here."""
        self.document.problems.append(self.document.problem(self.path, message))

    def key_fault(self, message: str) -> None:
        """Something is wrong with the key here."""
        self.document.problems.append(self.document.problem(self.path, message, at_key=True))
