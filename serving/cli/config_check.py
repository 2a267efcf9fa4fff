"""What is wrong with a configuration: the file by itself, and what it says of models against their graphs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from serving.cli.feature_fit import misfits_of
from serving.config.effective import Flags, effective
from serving.config.first_table import first_table
from serving.config.settings import Settings
from serving.errors import ConfigInvalid
from serving.processes.tracing import receiver_headers
from serving.registry.repository import Listing, Repository
from serving.runtime.check import check_version
from serving.runtime.inspector import Inspector


@dataclass(frozen=True, slots=True)
class Checked:
    """`problems` are to be mended; `notes` tell what was not looked at, or is left alone."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def message(self) -> str:
        """The only problem, or all of them below a line that counts them."""
        if len(self.problems) == 1:
            return self.problems[0]
        return f"the configuration has {len(self.problems)} problems:\n" + "\n".join(f"  {p}" for p in self.problems)


def checked(config: Path | None, models: Path | None) -> Checked:
    """Validate the file as a whole, then compile what it says of models' inputs; `models` overrides the repository.

    A graph is loaded, in a process of its own, only for models whose inputs are made of features.
    """
    flags: Flags = {} if models is None else {("repository", "models_dir"): ("--models", str(models))}
    try:
        settings = effective(config, os.environ, flags).settings
    except ConfigInvalid as wrong:
        return Checked(_lines(wrong.message))
    return compared(settings)


def compared(settings: Settings) -> Checked:
    """What is wrong with settings against the graphs of the repository that they name."""
    found = Checked()
    if settings.tracing.headers_file is not None:
        try:
            receiver_headers(Path(settings.tracing.headers_file))
        except ConfigInvalid as wrong:
            found.problems.append(wrong.message)
    _compare(settings, found)
    return found


def _compare(settings: Settings, found: Checked) -> None:
    root = settings.repository.models_dir
    if root is None:
        found.notes.extend(
            f"models.{name}.inputs: not compared with the model; name the repository with --models DIR"
            for name in _by_entity(settings)
        )
        return
    try:
        listing = Repository(Path(root)).listing()
        first_table(settings, [version.key for version in listing.versions])
    except ConfigInvalid as wrong:
        found.problems.append(wrong.message)
        return
    _compare_graphs(settings, listing, found)


def _compare_graphs(settings: Settings, listing: Listing, found: Checked) -> None:
    with Inspector() as inspector:
        for version in (version for name in _by_entity(settings) for version in listing.of(name)):
            finding = check_version(version, inspector)
            place = f"models.{finding.model}, version {finding.version}"
            found.problems.extend(f"{place}: {problem}" for problem in misfits_of(settings, finding))
            if not finding.ok:
                found.notes.append(f"{place}: not compared with its inputs, since it cannot be served: {finding.text}")


def _by_entity(settings: Settings) -> list[str]:
    return [name for name, section in settings.models.items() if section.inputs]


def _lines(message: str) -> list[str]:
    """One entry for each: the lines below a heading that counts them, or the only line."""
    first, *below = message.splitlines()
    return [line.strip() for line in below] or [first]
