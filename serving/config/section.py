"""What every section of the configuration is: frozen, and closed to keys it does not know."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from serving.config.secrets import hidden


class Section(BaseModel):
    """Unknown keys are errors; numbers are not taken from text, nor truth from numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def state_url(value: str) -> str:
    """`embedded`, or the address of a Redis or Valkey server.

    Raises:
        PydanticCustomError: another scheme.
    """
    if value == "embedded" or value.startswith(("redis://", "rediss://", "unix://")):
        return value
    raise PydanticCustomError("state_url", "{value} is no address of a Redis server", {"value": repr(hidden(value))})


Port = Annotated[int, Field(ge=0, le=65_535)]
Host = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[0-9A-Za-z.:_-]+$")]
Seconds = Annotated[float, Field(gt=0, le=3_600)]
Megabytes = Annotated[float, Field(gt=0, le=65_536)]
Version = Annotated[int, Field(ge=1, le=2**53)]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
StateUrl = Annotated[
    str, AfterValidator(state_url), Field(json_schema_extra={"permitted": "embedded, redis://, rediss:// or unix://"})
]


def noted(text: str, default: Any = ..., **facts: Any) -> Any:  # noqa: ANN401 - what pydantic's Field takes and gives
    """A field with the sentence that the reference page shows for it."""
    return Field(default=default, description=text, **facts)
