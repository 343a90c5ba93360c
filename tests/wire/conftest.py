from collections.abc import Callable

import pytest

from proxy.model.exchange import Asked, Surface
from proxy.wire.response import ResponseReader
from proxy.wire.surfaces import find


@pytest.fixture(scope="session")
def surface() -> Callable[[str], Surface]:
    """The surface that a POST to a path belongs to."""

    def of(path: str) -> Surface:
        found = find("POST", path, ())
        assert found is not None
        return found

    return of


@pytest.fixture(scope="session")
def stream_reader(surface: Callable[[str], Surface]) -> Callable[..., ResponseReader]:
    """A reader for an event stream that answers a POST to a path."""

    def of(path: str, **options: object) -> ResponseReader:
        settings = {"content_type": "text/event-stream", "content_encoding": None} | options
        return ResponseReader(surface(path), Asked(stream=True), **settings)

    return of


@pytest.fixture(scope="session")
def json_reader(surface: Callable[[str], Surface]) -> Callable[..., ResponseReader]:
    """A reader for a JSON answer to a POST to a path."""

    def of(path: str, **options: object) -> ResponseReader:
        settings = {"content_type": "application/json", "content_encoding": None} | options
        return ResponseReader(surface(path), Asked(), **settings)

    return of
