"""Memory of models in huge pages: a version is opened, and let go, in a fraction of the time that small ones take."""

from __future__ import annotations

from collections.abc import Mapping

VARIABLE = "GLIBC_TUNABLES"
# Blocks larger than a huge page lie on huge ones, where the system gives them to who asks (`madvise` or `always` in
# /sys/kernel/mm/transparent_hugepage/enabled); glibc 2.35 and newer reads it when a process starts.
TUNABLE = "glibc.malloc.hugetlb"
_TO_WHO_ASKS = "1"


def untold(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program that is not ours: without what a child of ours, or an image, says of them."""
    parts = [part for part in environment.get(VARIABLE, "").split(":") if part and part.partition("=")[0] != TUNABLE]
    kept = {name: value for name, value in environment.items() if name != VARIABLE}
    return {**kept, VARIABLE: ":".join(parts)} if parts else kept


def asked_for(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child that asks for them; what it says of them already stays."""
    given = environment.get(VARIABLE, "")
    if TUNABLE in given:
        return dict(environment)
    return {**environment, VARIABLE: ":".join([part for part in (given,) if part] + [f"{TUNABLE}={_TO_WHO_ASKS}"])}
