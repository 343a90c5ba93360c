"""Listening sockets: bound, with the setting named that says where."""

import socket

from proxy.policy.problem import Problem, ProblemsError

BACKLOG = 4096


def bound(listen: str, setting: str) -> socket.socket:
    """A socket at host:port that does not listen yet; ProblemsError where it cannot be had."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, int(port)))
    except OSError as error:
        sock.close()
        raise _cannot(listen, setting, error) from error
    sock.setblocking(False)
    return sock


def listening(sock: socket.socket, setting: str) -> socket.socket:
    """The same socket, listening. Who else listens there may show only now."""
    try:
        sock.listen(BACKLOG)
    except OSError as error:
        listen = name_of(sock)
        sock.close()
        raise _cannot(listen, setting, error) from error
    return sock


def name_of(sock: socket.socket) -> str:
    """Where a socket is bound, as host:port."""
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _cannot(listen: str, setting: str, error: OSError) -> ProblemsError:
    message = f"cannot listen on {listen}: {error.strerror or error} ({setting} in the settings)"
    return ProblemsError([Problem("gauger serve", 0, 0, message)])
