"""The process that decodes large JSON documents: frames on standard input, what they say on standard output.

It imports the codec, the reader of entities and nothing heavier, and ends when its input does, so it never outlives the
worker.
"""

from __future__ import annotations

import sys
from typing import BinaryIO

from serving.edge.http.oversize_frames import LENGTHS, reply_frame


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer every request on `source`, until it ends."""
    while lengths := source.read(LENGTHS.size):
        head_size, body_size = LENGTHS.unpack(lengths)
        head, body = source.read(head_size), source.read(body_size)
        if len(body) < body_size:
            return
        sink.write(b"".join(reply_frame(head, body)))
        sink.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
