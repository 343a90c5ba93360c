"""One of several serving processes on a machine: what its supervisor gives it, and tells it.

The supervisor writes the handover to the worker's standard input and holds that pipe open; on it
come commands of one byte each. Its end means that the supervisor is gone, however it went (kill -9
too): then the worker ends at once, so that a new supervisor finds port and logs free. Commands
come by this pipe and not by signals because service managers and terminals send theirs to every
process, and a worker must not take the second copy of the first signal for "hurry".
"""

import asyncio
import os
import pickle
import signal
import socket
import struct
import sys
from dataclasses import dataclass
from typing import Self

from proxy.settings.schema import Settings

DRAIN, HURRY = b"d", b"h"
READY = b"serving\n"
_LENGTH = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Handover:
    """What a worker is started with. Sockets are descriptors that it inherits.

    `siblings` are the inner listeners of all workers, by number; `detector` is where the detector
    listens, "" where there is none.
    """

    settings: Settings
    number: int
    listener: int
    admin: int
    inner: int
    siblings: tuple[str, ...]
    detector: str = ""

    def written(self) -> bytes:
        """As `received` reads it: the very settings that were checked, secrets too."""
        text = pickle.dumps(self)
        return _LENGTH.pack(len(text)) + text


def received(descriptor: int) -> Handover:
    """The handover from a pipe; EOFError where the supervisor went away meanwhile."""
    (length,) = _LENGTH.unpack(_exactly(descriptor, _LENGTH.size))
    handover = pickle.loads(_exactly(descriptor, length))  # noqa: S301 (from who started us)
    assert isinstance(handover, Handover)
    return handover


class Worker:
    """This process as a worker: its number, its sockets, and its line to the supervisor."""

    def __init__(self, handover: Handover, orders: int, answers: int) -> None:
        self.number = handover.number
        self.listener = _inherited(handover.listener)
        self.admin = _inherited(handover.admin)
        self.inner = _inherited(handover.inner)
        self.siblings = handover.siblings
        self.detector = handover.detector
        self._orders = orders
        self._answers = answers

    @classmethod
    def started(cls) -> tuple[Self, Settings]:
        """What the supervisor handed over on standard input; answers go to standard output.

        Whatever else is printed goes to standard error from here on.
        """
        answers = os.dup(sys.stdout.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        handover = received(sys.stdin.fileno())
        return cls(handover, sys.stdin.fileno(), answers), handover.settings

    def obey(self, stopping: asyncio.Event, hurry: asyncio.Event) -> None:
        """Set the events as the supervisor says. A signal begins the drain, and never hurries."""

        def ordered() -> None:
            order = os.read(self._orders, 1)
            stopping.set()
            if order != DRAIN:
                hurry.set()
            if not order:
                loop.remove_reader(self._orders)

        loop = asyncio.get_running_loop()
        loop.add_reader(self._orders, ordered)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)

    def serving(self) -> None:
        """Tell the supervisor that requests are taken."""
        os.write(self._answers, READY)


def _inherited(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    sock = socket.socket(fileno=descriptor)
    sock.setblocking(False)
    return sock


def _exactly(descriptor: int, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = os.read(descriptor, count - len(data))
        if not part:
            raise EOFError
        data += part
    return data
