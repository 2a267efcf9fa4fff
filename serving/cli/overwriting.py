"""That no file which a command writes is one of those that it reads."""

from __future__ import annotations

from pathlib import Path

from serving.cli.failure import wrong_usage


def refuse_to_overwrite(option: str, output: Path | None, *read: Path | None) -> None:
    """Let it be only where `output`, which `option` named, is none of the files that are read.

    Raises:
        CommandFailed: it is one of them, by another spelling or through a link.
    """
    if output is None or not output.exists():
        return
    for one in read:
        if one is not None and one.exists() and output.samefile(one):
            raise wrong_usage(f"{option} {output}: is a file that is read; name another one")
