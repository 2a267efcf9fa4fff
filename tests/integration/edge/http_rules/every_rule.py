"""All rules."""

from __future__ import annotations

from tests.integration.edge.http_rules.connection import PERSISTENCE, SEMANTICS, UPGRADES
from tests.integration.edge.http_rules.framing import CHUNKS, CODINGS, LENGTHS, TRAILERS
from tests.integration.edge.http_rules.head import FIELDS, LINES, VERSIONS

RULES = (
    *(*LINES, *VERSIONS, *FIELDS),
    *(*LENGTHS, *CODINGS, *CHUNKS, *TRAILERS),
    *(*PERSISTENCE, *SEMANTICS, *UPGRADES),
)
