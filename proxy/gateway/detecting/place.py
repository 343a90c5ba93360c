"""Where the detector has its files, and the socket at which gateways reach the process beside them.

The socket is opened by whoever starts that process and outlives it: connections that come while it
is being started again wait for it.
"""

import os
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

from proxy.policy.problem import Problem, ProblemsError

DIRECTORY = "detector"  # in the state directory
BACKLOG = 256
_MOST_BYTES = 100  # a path of a socket has 104 on macOS, 108 on Linux


def directory_of(state: Path) -> Path:
    """The detector's directory, for its owner alone; ProblemsError where it cannot be made."""
    directory = state / DIRECTORY
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        message = f"cannot be made: {error.strerror} (state_dir in the settings)"
        raise ProblemsError([Problem(str(directory), 0, 0, message)]) from error
    return directory


class Place:
    """A listening Unix socket; `address` is its path."""

    def __init__(self, listener: socket.socket, path: Path, own: Path | None) -> None:
        self.listener = listener
        self.address = str(path)
        self._path = path
        self._own = own  # a directory made for it alone

    @classmethod
    def open(cls, state: Path) -> "Place":
        """In the detector's directory, or where its path is too long, in a temporary one."""
        path, own = directory_of(state).absolute() / "socket", None
        if len(os.fsencode(path)) > _MOST_BYTES:
            own = Path(tempfile.mkdtemp(prefix="gauger-"))
            path = own / "socket"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            path.unlink(missing_ok=True)  # of a process that was killed
            listener.bind(str(path))
            path.chmod(0o600)
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            message = f"the detector's socket cannot be opened: {error.strerror or error}"
            raise ProblemsError([Problem(str(path), 0, 0, message)]) from error
        return cls(listener, path, own)

    def close(self) -> None:
        """Nobody gets in any more."""
        self.listener.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
            if self._own is not None:
                self._own.rmdir()
