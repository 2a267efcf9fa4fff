"""Webhooks of a plan, read and checked: to whom, of what, signed by which secret, and whether their yes is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol
from urllib.parse import urlsplit

_KEYS = ("url", "events", "secret", "timeout", "confirm", "wait")
_MOST_HOOKS = 8
_TIMEOUT_S, _MOST_TIMEOUT_S = 5, 60
_WAIT_S = 3_600


class Event(StrEnum):
    """A step begins; a verdict changed something; it is over."""

    STEP = "step"
    VERDICT = "verdict"
    END = "end"


class SecretPlace(StrEnum):
    """Where the control app finds a secret."""

    ENV = "env"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class SecretAt:
    """The name of an environment variable, or a path; never the secret itself, since plans are kept and shown."""

    place: SecretPlace
    name: str


@dataclass(frozen=True, slots=True)
class Hook:
    """With `confirm` it is asked before each advance, for `wait_s` at most, and told of nothing but `events`."""

    url: str
    events: tuple[Event, ...] = tuple(Event)
    secret: SecretAt | None = None
    timeout_s: float = _TIMEOUT_S
    confirm: bool = False
    wait_s: int = _WAIT_S

    @property
    def host(self) -> str:
        """Whom people are told of: paths of webhooks are often secrets themselves."""
        return urlsplit(self.url).netloc


class Problems(Protocol):
    """Where everything that is wrong is gathered."""

    def add(self, where: str, what: str) -> None:
        """One more."""

    def unknown(self, where: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
        """Keys that there are not."""


class Duration(Protocol):
    """Reads `90s`, `5m`."""

    def __call__(self, where: str, given: Any, problems: Any) -> int:  # noqa: ANN401 - a file
        """In seconds."""


def hooks(given: Any, problems: Problems, duration: Duration) -> tuple[Hook, ...]:  # noqa: ANN401 - a file
    """What a plan says under `webhooks`: addresses, or mappings with them."""
    if given is None:
        return ()
    entries = given if isinstance(given, list) else [given]
    if len(entries) > _MOST_HOOKS:
        problems.add("webhooks", f"{len(entries)} of them; at most {_MOST_HOOKS}")
    return tuple(_hook(f"webhooks[{place}]", entry, problems, duration) for place, entry in enumerate(entries))


def _hook(where: str, given: Any, problems: Problems, duration: Duration) -> Hook:  # noqa: ANN401 - a file
    if not isinstance(given, Mapping):
        return Hook(_url(where, given, problems))
    problems.unknown(where, given, _KEYS)
    confirm = given.get("confirm", False)
    if not isinstance(confirm, bool):
        problems.add(f"{where}.confirm", f"{confirm!r} is not permitted; true or false")
    if "wait" in given and confirm is not True:
        problems.add(f"{where}.wait", "is how long a confirmation is waited for; it needs confirm: true")
    timeout_s = duration(f"{where}.timeout", given.get("timeout", f"{_TIMEOUT_S}s"), problems)
    if timeout_s > _MOST_TIMEOUT_S:
        problems.add(f"{where}.timeout", f"{timeout_s} s is not permitted; at most {_MOST_TIMEOUT_S} s")
    return Hook(
        _url(f"{where}.url", given.get("url"), problems),
        _events(where, given.get("events", () if confirm is True else tuple(Event)), problems),
        _secret(f"{where}.secret", given.get("secret"), problems),
        timeout_s,
        confirm is True,
        duration(f"{where}.wait", given.get("wait", f"{_WAIT_S}s"), problems),
    )


def _url(where: str, given: Any, problems: Problems) -> str:  # noqa: ANN401 - a file
    if not isinstance(given, str) or not given.startswith(("http://", "https://")):
        problems.add(where, f"{given!r} is no address that begins with http:// or https://")
        return ""
    if "@" in given.partition("//")[2].partition("/")[0]:
        problems.add(where, "has a name or password in it, which plans are no place for; sign with secret: {env: NAME}")
    elif not _is_address(given):
        problems.add(where, f"{given!r} is no address like https://example.org/rollouts, in ASCII and without spaces")
    return given


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return named and url.isascii() and url.isprintable() and " " not in url


def _events(where: str, given: Any, problems: Problems) -> tuple[Event, ...]:  # noqa: ANN401 - a file
    if not isinstance(given, list | tuple) or any(one not in list(Event) for one in given):
        problems.add(f"{where}.events", f"{given!r} is not permitted; a list of any of {', '.join(Event)}")
        return ()
    return tuple(Event(one) for one in given)


def _secret(where: str, given: Any, problems: Problems) -> SecretAt | None:  # noqa: ANN401 - a file
    if given is None:
        return None
    if not isinstance(given, Mapping) or len(given) != 1 or next(iter(given)) not in list(SecretPlace):
        # What stands there may be the secret, and is not repeated.
        problems.add(where, "says where the secret is, not what it is: {env: NAME} or {file: /path}")
        return None
    place, name = next(iter(given.items()))
    if not isinstance(name, str) or not name or (place == SecretPlace.FILE and not name.startswith("/")):
        problems.add(where, "is {env: NAME} of a variable of the control app, or {file: /path} from the root on")
        return None
    return SecretAt(SecretPlace(place), name)
