"""The page that lists every setting, made from the schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from serving.config.permitted import Schema, in_words, resolved
from serving.config.settings import Settings

_HEAD = """# Configuration

One YAML file, `sluice.yaml` in the working directory or `--config FILE`, validated as a whole: every wrong key is named
with its value and what is permitted. Later ones win: defaults, the file, the environment, the command line.

* `SLUICE_SECTION__KEY` sets one value, read as YAML: `SLUICE_HTTP__PORT=9000`,
  `SLUICE_MODELS__FLIGHT_DELAY__DEADLINE_MS=50` (for the model flight-delay).
* `sluice config check` says what is wrong, `sluice config show` prints every value and where it came from,
  `sluice config schema` prints the JSON schema for editors.

This page is made from the schema by `make docs`.
"""


def page() -> str:
    """The whole page as Markdown."""
    root = Settings.model_json_schema()
    parts = [_HEAD]
    for name, section in root["properties"].items():
        parts.append(f"## {name}\n\n{resolved(root, section)['description']}\n")
        parts.append("| setting | default | permitted | meaning |\n|---|---|---|---|")
        parts.append("\n".join(_rows(root, name, section)) + "\n")
    return "\n".join(parts)


def _rows(root: Schema, path: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """A row for every setting below a path; names that users give stand in angle brackets."""
    whole = resolved(root, schema)
    named = whole.get("additionalProperties") or next(iter(whole.get("patternProperties", {}).values()), None)
    if isinstance(named, dict) and "properties" in resolved(root, named):
        yield from _rows(root, f"{path}.<name>", named)
        return
    if "properties" in whole and path:
        for name, inner in whole["properties"].items():
            yield from _rows(root, f"{path}.{name}", _with_default(inner, schema, name))
        return
    default = f"`{json.dumps(schema['default'])}`" if "default" in schema else ""
    yield f"| `{path}` | {default} | {_cell(in_words(whole))} | {_cell(schema.get('description', ''))} |"


def _with_default(inner: Mapping[str, Any], outer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    defaults = outer.get("default")
    return {**inner, "default": defaults[name]} if isinstance(defaults, dict) and name in defaults else inner


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
