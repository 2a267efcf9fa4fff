"""Rows that were running when a replica crashed: remembered for a minute, so that one request cannot fell a pool."""

from __future__ import annotations

from collections.abc import Callable

from xxhash import xxh3_128

from serving.errors import Poisonous
from serving.inference import Request, VersionKey

_FATAL_CRASHES = 2


class Suspects:
    """Fingerprints of rows that were present at a crash.

    A row seen at one crash runs alone from then on; one seen at two is refused until `remember_s` have passed since.
    An answer clears it. At most `most` are kept, the oldest leave first.
    """

    def __init__(self, clock: Callable[[], float], remember_s: float = 60.0, most: int = 10_000) -> None:
        self._clock = clock
        self._remember_s = remember_s
        self._most = most
        self._crashes: dict[bytes, tuple[int, float]] = {}
        self._tell: Callable[[bytes], None] = _nobody

    def __bool__(self) -> bool:
        return bool(self._crashes)

    def crashed_with(self, fingerprint: bytes) -> bool:
        """Count a crash; true when the row is to blame for it."""
        crashes = self._seen(fingerprint) + 1
        self._remember(fingerprint, crashes, self._remember_s)
        # Told only now and not after one crash: most rows that were present at one are innocent.
        if crashes == _FATAL_CRASHES:
            self._tell(fingerprint)
        return crashes >= _FATAL_CRASHES

    def on_condemned(self, tell: Callable[[bytes], None]) -> None:
        """Call `tell` with each row that is to blame, before its caller is answered."""
        self._tell = tell

    def condemn(self, fingerprint: bytes, remember_s: float) -> None:
        """Another worker's replicas crashed with it: refused here too, so that it does not fell two for each worker."""
        self._remember(fingerprint, _FATAL_CRASHES, remember_s)

    def answered(self, fingerprint: bytes) -> None:
        """The row ran without harm."""
        self._crashes.pop(fingerprint, None)

    def examine(self, key: VersionKey, request: Request) -> None:
        """Have a suspect run alone.

        Raises:
            Poisonous: the row was present at two crashes.
        """
        self._forget()
        crashes = self._seen(fingerprint(key, request))
        if crashes >= _FATAL_CRASHES:
            raise Poisonous(poisonous(key))
        request.alone = bool(crashes)

    def _remember(self, fingerprint: bytes, crashes: int, remember_s: float) -> None:
        self._crashes.pop(fingerprint, None)
        while len(self._crashes) >= self._most:
            del self._crashes[next(iter(self._crashes))]
        self._crashes[fingerprint] = (crashes, self._clock() + remember_s)

    def _forget(self) -> None:
        """Let go of those whose time is over: while any is kept, every request pays for its fingerprint."""
        now = self._clock()
        while self._crashes:
            oldest = next(iter(self._crashes))
            if self._crashes[oldest][1] >= now:
                return
            del self._crashes[oldest]

    def _seen(self, fingerprint: bytes) -> int:
        crashes, until = self._crashes.get(fingerprint, (0, 0.0))
        if crashes and until < self._clock():
            del self._crashes[fingerprint]
            return 0
        return crashes


def fingerprint(key: VersionKey, request: Request) -> bytes:
    """XXH3 (128 bits) of the version and every byte of the request's inputs."""
    digest = xxh3_128(str(key).encode())
    for tensor in request.inputs:
        digest.update(repr(tensor.shape).encode())
        digest.update(tensor.data)
    return digest.digest()


def _nobody(fingerprint: bytes) -> None:
    """There is no other worker."""


def poisonous(key: VersionKey) -> str:
    """What the caller of such a row is told."""
    return (
        f"two replicas crashed while they ran these very inputs on {key}, so they are refused for a minute; "
        "change the inputs, or have the owner of the model look at the replicas' logs"
    )
