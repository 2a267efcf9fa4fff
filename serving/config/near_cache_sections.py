"""The sections of the near cache: how much every gateway worker keeps of the rows that it read, and for how long."""

from __future__ import annotations

from typing import Literal

from serving.config.section import Section, noted
from serving.config.served_log_section import ServedLogSection
from serving.features.cache.lifetime import Lifetime

Invalidation = Literal["server", "ttl_only"]

_AGE = r"^[0-9]+(ms|[smhd])$"
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def age_s(text: str) -> float:
    """Seconds of `500ms`, `30s`, `12h`."""
    unit = text.lstrip("0123456789")
    return int(text.removesuffix(unit)) * _SECONDS[unit]


class ViewCacheSection(Section):
    """What is different for the rows of one view; null is as for all views."""

    enabled: bool = noted(
        "Keep rows of this view; false where two views that are written as one must never be seen half new.",
        default=True,
    )
    ttl: str | None = noted("As `features.near_cache.ttl`.", None, pattern=_AGE)
    stale_for: str | None = noted("As `features.near_cache.stale_for`.", None, pattern=_AGE)
    negative_ttl: str | None = noted("As `features.near_cache.negative_ttl`.", None, pattern=_AGE)
    invalidation: Invalidation | None = noted(
        "As `features.near_cache.invalidation`; ttl_only for a view that is written more often than it is read.", None
    )


class NearCacheSection(Section):
    """Rows that a gateway worker has read, kept in the worker."""

    max_mb: float = noted(
        "Memory of the near cache in every gateway worker, all counted; 0 is none.", 0, ge=0, le=65_536
    )
    ttl: str | None = noted(
        "A row is used so long without being read again, give or take 10 %; null is 60s, and 1s with `ttl_only`. While "
        "the server cannot be heard, no view's is over 1s.",
        None,
        pattern=_AGE,
    )
    stale_for: str = noted(
        "So long after `ttl` a row is used where the features Redis does not answer, and the answer says so "
        "(`stale_used`); never longer.",
        "10m",
        pattern=_AGE,
    )
    negative_ttl: str = noted("How long it is known that an id has no row.", "5s", pattern=_AGE)
    invalidation: Invalidation = noted(
        "server: the features Redis tells each worker of every row that is written, which is then read again; "
        "ttl_only: where it cannot (a proxy, an ACL without CLIENT TRACKING).",
        "server",
    )

    def lifetime(self, view: ViewCacheSection) -> Lifetime:
        """Of a view's rows."""
        heard = (view.invalidation or self.invalidation) == "server"
        return Lifetime(
            age_s(view.ttl or self.ttl or ("60s" if heard else "1s")),
            age_s(view.stale_for or self.stale_for),
            age_s(view.negative_ttl or self.negative_ttl),
            heard,
        )


class FeaturesSection(Section):
    """How gateway workers read features."""

    near_cache: NearCacheSection = noted("Rows kept in each gateway worker.", NearCacheSection())
    served_log: ServedLogSection = noted("A sample of what models were given and predicted.", ServedLogSection())
