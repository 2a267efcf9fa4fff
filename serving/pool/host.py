"""What the tensor stream's server needs of the process it stands in: something that hosts versions and runs batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from serving.inference import Hosted, Tensor, VersionKey


class Host(Protocol):
    """Hosts model versions; all methods are called on several threads."""

    def catalogue(self) -> Mapping[VersionKey, Hosted]:
        """What can run now."""

    def refused(self) -> Mapping[VersionKey, str]:
        """What could not be loaded, and why; the text is fit for callers."""

    def settled(self) -> bool:
        """All that it was told to host is either in the catalogue or refused."""

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback`, on any thread, whenever one of the above may answer differently."""

    def run(self, key: VersionKey, inputs: Sequence[Tensor], rows: int) -> tuple[Tensor, ...]:
        """Outputs in the signature's order; `rows` is 0 for a version that is not batchable.

        Elements of the inputs are aligned to eight bytes, read-only, and valid during the call alone.

        Raises:
            ServingError: told to the gateway with its reason; ModelFailed where the model raised.
        """
