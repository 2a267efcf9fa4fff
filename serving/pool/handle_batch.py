"""A batch that came through Ray Serve's handle: the tensor stream's frames, one call for each."""

from __future__ import annotations

from serving.errors import ModelFailed, NotReady, ServingError
from serving.inference import VersionKey
from serving.pool.host import Host
from serving.wire.batch_frame import decode_inputs, decode_run, encode_failed, encode_result
from serving.wire.catalogue import Catalogue, encode_catalogue
from serving.wire.frame import DEFAULT_FRAME_BYTES
from serving.wire.frame_reader import FrameReader


def answer(host: Host, key: VersionKey, frame: bytes) -> bytes:
    """RESULT, or FAILED with the reason; never raises for what a model or a caller does."""
    try:
        return _run(host, key, frame)
    except ServingError as error:
        return encode_failed(0, error.reason, error.message)
    except Exception as error:  # noqa: BLE001 - anything a custom model raises is that model's failure
        return encode_failed(0, ModelFailed.reason, f"model {key} failed: {type(error).__name__}: {error}")


def hosted(host: Host) -> bytes:
    """The CATALOGUE frame; its slot numbers mean nothing here."""
    return encode_catalogue(Catalogue(dict(enumerate(host.catalogue().values())), host.refused(), host.settled()))


def _run(host: Host, key: VersionKey, frame: bytes) -> bytes:
    facts = host.catalogue().get(key)
    if facts is None:
        raise NotReady(f"this replica does not host {key}: {host.refused().get(key, 'it was never told to')}")
    (only,) = FrameReader(DEFAULT_FRAME_BYTES).feed(frame)
    run = decode_run(only)
    outputs = host.run(key, decode_inputs(only, run, facts.signature), run.rows)
    parts, _ = encode_result(0, outputs)
    return b"".join(parts)
