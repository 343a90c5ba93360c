"""What all sections of gauger.yaml are made of."""

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationInfo,
)


def _resolved(value: Any, info: ValidationInfo) -> Any:
    """A path as written, relative to the directory of gauger.yaml."""
    if not isinstance(value, str) or not value:
        msg = "write a path as text"
        raise ValueError(msg)
    base: Path = (info.context or {}).get("base", Path())
    return base / Path(value).expanduser()


def _variable(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        msg = (
            "write the name of an environment variable (such as OPENAI_API_KEY), "
            "never the credential itself"
        )
        raise ValueError(msg)
    return value


FilePath = Annotated[Path, BeforeValidator(_resolved)]
Variable = Annotated[StrictStr, AfterValidator(_variable)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Count = Annotated[StrictInt, Field(gt=0, le=2**40)]


class Section(BaseModel):
    """Unknown keys are faults, never ignored; where a credential may stand, no error quotes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
