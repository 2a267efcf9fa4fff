"""What an expression of Prometheus names: metrics with the labels that it selects or groups by."""

from __future__ import annotations

import re
from collections.abc import Iterator

from serving.telemetry.catalogue import CATALOGUE

# A metric of ours, or one that a rule records, with its selector if it has one.
_NAMED = re.compile(r"([a-z]+:)?\b(sluice_[a-z_]+(?::\w+)?)(\{[^}]*\})?")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"[^"]*"')
_GROUPED = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_OF_HISTOGRAMS = ("_bucket", "_sum", "_count")
# What Prometheus itself adds to each series.
ADDED = frozenset({"job", "instance", "namespace"})


def named(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Each name with the labels of its selector."""
    for recorded, name, selector in _NAMED.findall(expression):
        yield recorded + name, set(_MATCHER.findall(selector))


def grouped(expression: str) -> set[str]:
    """Every label that something is grouped or matched by."""
    return {label.strip() for labels in _GROUPED.findall(expression) for label in labels.split(",") if label.strip()}


def labels_of(name: str) -> set[str] | None:
    """The labels of a metric of the catalogue as Prometheus has it; None where there is none of that name."""
    if name in CATALOGUE:
        return None if CATALOGUE[name].kind == "histogram" else set(CATALOGUE[name].labels)
    base = next((name.removesuffix(end) for end in _OF_HISTOGRAMS if name.endswith(end)), name)
    if base == name or base not in CATALOGUE or CATALOGUE[base].kind != "histogram":
        return None
    return {*CATALOGUE[base].labels, *(["le"] if name.endswith("_bucket") else [])}
