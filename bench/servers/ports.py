"""Loopback ports that nobody uses, outside the range from which the kernel takes source ports.

A server that is killed must find its port free when it comes back. From the kernel's own range
another process could have taken it for an outgoing connection, and a client that calls a dead
port there can even be connected to itself.
"""

import socket
from random import SystemRandom

HOST = "127.0.0.1"
_LOWEST, _HIGHEST = 20_000, 29_999
_TRIES = 200
_draw = SystemRandom()  # seeded generators would give parallel test workers the same ports
_given: set[int] = set()


def free_port() -> int:
    """A port on which this process may listen; never the same one twice in one process."""
    for _ in range(_TRIES):
        port = _draw.randint(_LOWEST, _HIGHEST)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise OSError(f"no free loopback port between {_LOWEST} and {_HIGHEST}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
