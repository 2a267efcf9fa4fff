"""The section of the served-feature log: where it is written, and how much of what was answered."""

from __future__ import annotations

from serving.config.section import Section, noted


class ServedLogSection(Section):
    """Entities, features and predictions of a sample of requests, as Parquet files."""

    folder: str | None = noted(
        "Folder of the files; null writes none. Needs pyarrow (`pip install 'sluice-gateway[parquet]'`).", None
    )
    sample: float = noted("Share of the requests by entity that is logged.", 0.01, gt=0, le=1)
    hash_ids: bool = noted("Write entities' ids as hashes, with a key that stands in the folder.", default=True)
    max_files_mb: float = noted("Size of all files together; the oldest are deleted.", 1_000, gt=0)
    rotate: str = noted("A file is closed, and can be read, after so long.", "5m", pattern=r"^[0-9]+(s|m|h|d)$")
