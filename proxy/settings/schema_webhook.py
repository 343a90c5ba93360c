"""Who is told of clusters: one address, by signed POST requests."""

import base64
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StrictStr

from proxy.settings.section import Seconds, Section, Variable

LEAST_SECRET_BYTES = 24  # as the Standard Webhooks specification has it
BASE64_SECRET = "whsec_"  # noqa: S105 (a prefix, not a secret)

Event = Literal["open", "state", "merge"]


def _url(value: str) -> str:
    # Never quoted in a message: many services put the secret into the path.
    try:
        parts = urlsplit(value)
        right = bool(parts.hostname) and parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        right = False
    if not right or "#" in value or any(c <= " " for c in value):
        msg = "is not the URL of a webhook (write https://host/path)"
        raise ValueError(msg)
    if "@" in parts.netloc:
        msg = "a credential does not belong in the URL: requests are signed, see secret_env"
        raise ValueError(msg)
    return value


class Webhook(Section):
    """Where clusters are announced. The secret is read from an environment variable."""

    url: Annotated[StrictStr, AfterValidator(_url)]
    secret_env: Variable
    events: Annotated[list[Event], Field(min_length=1)] = Field(
        ["open"],
        description="What is told: new clusters; changes of state; clusters merged into others.",
    )
    timeout_s: Seconds = Field(10.0, description="How long one attempt may take.")
    give_up_s: Annotated[float, Field(gt=0, le=2_592_000)] = Field(
        259_200.0, description="How long an undelivered message is tried again, in seconds."
    )


def secret_bytes(text: str) -> bytes:
    """The key of the signatures: what follows whsec_ is base64, anything else is taken as it is.

    ValueError for one that is too short or not base64.
    """
    if text.startswith(BASE64_SECRET):
        try:
            key = base64.b64decode(text.removeprefix(BASE64_SECRET), validate=True)
        except ValueError:  # also of what is not ASCII
            msg = "what follows whsec_ is not base64"
            raise ValueError(msg) from None
    else:
        key = text.encode()
    if len(key) < LEAST_SECRET_BYTES:
        msg = (
            f"the secret of a webhook needs {LEAST_SECRET_BYTES} bytes "
            '(echo "whsec_$(openssl rand -base64 32)" makes one)'
        )
        raise ValueError(msg)
    return key
