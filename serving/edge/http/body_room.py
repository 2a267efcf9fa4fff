"""Where a large body is put as it arrives, instead of being joined at its end."""

from __future__ import annotations

import numpy as np

from serving.edge.http.request_head import RequestHead

_ALIGNMENT = 16


def room_for(head: RequestHead) -> memoryview:
    """Room for as many bytes as the head announces, left as it is until it is written to.

    A length that lies costs nothing then, where a bytearray of 60 MB holds the loop for 29 ms. Tensors behind a JSON
    part begin where a model can read them in place.
    """
    ahead = -(head.json_size or 0) % _ALIGNMENT
    return np.empty(ahead + (head.length or 0), np.uint8).data[ahead:]
