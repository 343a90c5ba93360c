"""Ways in which a client is not what it says it is.

Each is something that the named program never does, whoever uses it; what a proxy on the way
could have done (names in lower case throughout, a changed order) is none. They are traits like
others: where everybody shows one, the operator's own proxy causes it, and it says nothing.
Source: the headers that the vendors' libraries send, and those of undici, Node's own client.
"""

import re
from collections.abc import Mapping

# Values that say what a client is.
STATED = frozenset(
    (
        "user-agent", "x-stainless-arch", "x-stainless-async", "x-stainless-lang",
        "x-stainless-os", "x-stainless-package-version", "x-stainless-runtime",
        "x-stainless-runtime-version",
    )
)  # fmt: skip

_VENDOR = re.compile(
    r"(?P<how>Async)?(?:Azure)?(?:OpenAI|Anthropic)\w{0,16}/(?P<lang>Python|JS) (?P<version>\S+)"
)
_OTHER = re.compile(
    r"(?:curl|Wget|PostmanRuntime|python-requests|python-httpx|aiohttp|Go-http-client|okhttp)/"
)
_RUNTIMES = {"python": ("CPython", "PyPy"), "js": ("node", "deno", "bun", "edge", "browser")}
_CAPITALS = frozenset(("Accept", "Accept-Encoding", "Content-Type"))
_BROWSER_ONLY = frozenset(("sec-fetch-mode", "sec-fetch-site", "sec-fetch-dest", "sec-ch-ua"))


def contradictions(names: tuple[str, ...], stated: Mapping[str, str], ja4: str | None) -> list[str]:
    """The kinds found, in words that stay the same; `stated` has its names in lower case."""
    agent = stated.get("user-agent", "")
    lang = stated.get("x-stainless-lang")
    vendor = _VENDOR.match(agent)
    if vendor is None:
        return ["another client with an SDK's headers"] if lang and _OTHER.match(agent) else []
    claimed = vendor["lang"].lower()
    found = []
    if lang is None:
        found.append("an SDK without its headers")
    elif lang != claimed:
        found.append("an SDK of two languages")
    if stated.get("x-stainless-package-version", vendor["version"]) != vendor["version"]:
        found.append("an SDK of two versions")
    runtime = stated.get("x-stainless-runtime", "")
    others = [name for name, known in _RUNTIMES.items() if runtime in known]
    if others and claimed not in others:
        found.append("an SDK in another language's runtime")
    if claimed == "python":
        found += _of_python(names, stated, ja4)
    return found


def _of_python(names: tuple[str, ...], stated: Mapping[str, str], ja4: str | None) -> list[str]:
    """Python's SDKs write names in capitals, speak HTTP/1.1 only, and are no browser."""
    found = []
    if not _BROWSER_ONLY.isdisjoint(map(str.lower, names)):
        found.append("Python with a browser's headers")
    if "user-agent" in names and not _CAPITALS.isdisjoint(names):
        found.append("Python with a name in lower case")
    how = stated.get("x-stainless-async")
    if how is not None and stated["user-agent"].startswith("Async") == (how == "false"):
        found.append("an SDK both synchronous and not")
    if ja4 and ja4[8:10] == "h2":
        found.append("Python that offers HTTP/2")
    return found
