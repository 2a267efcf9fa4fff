"""Bytes of a client that say nothing: a part of a frame, or metadata of a call that goes on and on."""

from __future__ import annotations

from collections.abc import Callable


class Unheard:
    """One connection's; times in monotonic seconds.

    Whether bytes without a meaning are a part of something, or a whole frame that means nothing here, is for HTTP/2 to
    know, and not told. So the client is asked for a sign of life, which nobody can give within another frame, nor
    between the frames of a call's metadata.
    """

    __slots__ = ("_asked", "_since")

    def __init__(self) -> None:
        self._since: float | None = None
        self._asked = False

    def arrived(self, now: float, *, heard: bool) -> None:
        """Bytes arrived; `heard` where they meant something."""
        if heard:
            self._since = None
        elif self._since is None:
            self._since = now
            self._asked = False

    def held_up(self, now: float) -> None:
        """Nothing was read for a while, by our own doing: the client's time begins anew."""
        if self._since is not None:
            self._since = now

    def too_long(self, now: float, allowed_s: float, ask: Callable[[], None]) -> bool:
        """Whether the client does not end what it began; `ask` is called, once, to have it give a sign of life."""
        if self._since is None:
            return False
        if not self._asked:
            self._asked = True
            ask()
        return now - self._since > allowed_s
