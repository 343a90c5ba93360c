"""A server process and its folder, both of which go when the process that started them goes.

Beside each server stands a guard, a shell that reads a pipe from us. When the pipe closes, because
we stopped in an orderly way or because we were killed, it kills the server and removes the folder.
A parent-death signal would do the same only on Linux, and only while the starting *thread* lives.
The pipe is held as well by children forked without `exec`: then the guard waits for them too.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

STOP_S = 10.0
_GUARD = """
while read -r told; do pid=$told; done
[ -n "$pid" ] && kill -9 "$pid"
rm -rf -- "$1"
"""


class Process:
    """A program with arguments, started as often as wanted in one temporary folder."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gauger-server-"))
        self._running: subprocess.Popen[bytes] | None = None
        self._guard = subprocess.Popen(
            ("/bin/sh", "-c", _GUARD, "guard", self.folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in a terminal must not reach it
        )

    @property
    def log(self) -> Path:
        """What the program wrote, over all its starts."""
        return self.folder / "log"

    @property
    def pid(self) -> int | None:
        """The process id, or None when it does not run."""
        running = self._running
        return running.pid if running is not None and running.poll() is None else None

    def start(self, *command: str | os.PathLike[str]) -> None:
        """Start the program; it must not run already."""
        assert self.pid is None, "started twice"
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._tell(str(self._running.pid))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; an error if the program does not run."""
        assert self._running is not None
        assert self.pid is not None, "the server does not run"
        self._running.send_signal(number)

    def kill(self) -> None:
        """End it as `kill -9` does, also when it is stopped by a signal; nothing if it is gone."""
        running, self._running = self._running, None
        if running is not None:
            running.kill()
            running.wait(STOP_S)
            self._tell("")

    def close(self) -> None:
        """End it and remove its folder. May be called again."""
        self.kill()
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait(STOP_S)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _tell(self, pid: str) -> None:
        assert self._guard.stdin is not None
        self._guard.stdin.write(f"{pid}\n".encode())
        self._guard.stdin.flush()
