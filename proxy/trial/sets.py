"""Policy sets as an operator names them: a directory, or the digest of one that was in force."""

from pathlib import Path

from proxy.policy.archive import Archive
from proxy.policy.load import compile_texts, load
from proxy.policy.problem import Problem, ProblemsError
from proxy.policy.rules import PolicySet
from proxy.settings.schema import Settings

DIGEST = "sha256:"


def archive_of(settings: Settings) -> Path:
    """Where a gateway keeps the sets that were in force."""
    return settings.state_dir / "policies"


def named_set(name: str, settings: Settings | None) -> PolicySet:
    """The set in the directory `name`, or the archived one of that digest (sha256:…).

    ProblemsError names what is wrong with it. Nothing is written.
    """
    if not name.startswith(DIGEST):
        return load(Path(name))
    if settings is None:
        message = "a digest is looked up in the state_dir of the settings: name them with --config"
        raise ProblemsError([Problem(name, 0, 0, message)])
    return archived(name, settings)


def archived(digest: str, settings: Settings) -> PolicySet:
    """The set of this digest: from the archive, or the configured one where it is the same."""
    directory = archive_of(settings)
    try:
        texts = Archive(directory).read(digest)
        return compile_texts((Path(name).name, text) for name, text in texts)
    except FileNotFoundError:
        if policy := _configured(digest, settings):
            return policy
        message = (
            f"{digest} is not among the sets that are archived here "
            "(a gateway archives each set that it takes up, below its state_dir)"
        )
    except OSError as error:
        message = f"{digest} cannot be read: {error.strerror}"
    except ValueError as error:  # no digest, or its files were changed
        message = str(error)
    raise ProblemsError([Problem(str(directory), 0, 0, message)])


def _configured(digest: str, settings: Settings) -> PolicySet | None:
    try:
        policy = load(settings.policies)
    except ProblemsError:
        return None
    return policy if policy.digest == digest else None
