"""Which loggers there are whose level can be set: a level of one that there is not would change nothing, silently."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
# What `logging.getLogger` calls the one above all.
ROOT = "root"
# Those that no module is named like.
_MORE = ("access",)
_FORM = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,15}")


def why_unknown(logger: str) -> str | None:
    """What is wrong with a logger's name and what would be right, in a sentence; None where there is such a one.

    Of Sluice's own it is a module or a package, of others anything below one that is installed.
    """
    top, _, rest = logger.partition(".")
    if not _FORM.fullmatch(logger):
        return f"{logger!r:.80} is no logger; name a module of Sluice or a part of it, such as serving.batching"
    if top != _PACKAGE.name:
        if logger == ROOT or _installed(top):
            return None
    elif not rest or logger in known():
        return None
    return f"there is no logger {logger!r:.80}; {_near(logger)}"


def _installed(top: str) -> bool:
    try:
        return find_spec(top) is not None
    except ValueError:
        # It is loaded and came from nowhere, as __main__ may have.
        return False


@cache
def known() -> frozenset[str]:
    """Every logger of Sluice's own, and those above them."""
    root = _PACKAGE.parent
    files = (path.relative_to(root).with_suffix("") for path in _PACKAGE.rglob("*.py"))
    modules = {".".join(path.parts).removesuffix(".__init__") for path in files}
    return frozenset({*modules, *(f"{_PACKAGE.name}.{name}" for name in _MORE)})


def _near(logger: str) -> str:
    near = get_close_matches(logger, known(), n=3, cutoff=0.75)
    if near:
        return f"did you mean {_either(near)}?"
    parts = sorted(name for name in known() if name.count(".") == 1)
    return f"known are serving, {', '.join(parts)}, and all modules below them"


def _either(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
