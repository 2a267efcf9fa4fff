"""Only who knows the secret and speaks a common version gets past the handshake, on either side."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import StreamRefused
from serving.wire.frame import CHALLENGE, HELLO, WELCOME, Frame, encode
from serving.wire.frame_reader import FrameReader
from serving.wire.handshake import (
    Challenge,
    decode_challenge,
    decode_hello,
    decode_welcome,
    encode_challenge,
    hello,
    refusal,
    welcome,
)

SECRET = b"the secret"
CHALLENGED = Challenge((1,), b"server nonce 016")
NONCE = b"client nonce 016"


def frame_of(data: bytes) -> Frame:
    (frame,) = FrameReader().feed(data)
    return frame


def test_both_sides_agree_on_the_newest_common_version() -> None:
    challenge = Challenge((3, 2, 1), CHALLENGED.nonce)
    assert decode_challenge(frame_of(encode_challenge(challenge))) == challenge
    answer = decode_hello(frame_of(hello(challenge, SECRET, "gw", NONCE, versions=(1,))))
    chosen = decode_welcome(frame_of(welcome(challenge, answer, SECRET, 1000)), challenge, NONCE, SECRET)
    assert (chosen.version, chosen.frame_bytes, answer.name) == (1, 1000, "gw")


def test_versions_without_overlap_are_refused_by_name() -> None:
    answer = decode_hello(frame_of(hello(CHALLENGED, SECRET, "gw", NONCE, versions=(8, 7))))
    with pytest.raises(StreamRefused, match=r"speaks version 1 .* was offered 8, 7") as refused:
        welcome(CHALLENGED, answer, SECRET, 1000)
    with pytest.raises(StreamRefused, match=r"speaks version 1 .* was offered 8, 7"):
        decode_welcome(frame_of(refusal(refused.value)), CHALLENGED, NONCE, SECRET)


def test_a_version_that_was_not_offered_is_refused_by_name() -> None:
    answer = decode_hello(frame_of(hello(Challenge((9,), CHALLENGED.nonce), SECRET, "gw", NONCE, versions=(9,))))
    chosen = welcome(Challenge((9,), CHALLENGED.nonce), answer, SECRET, 1000)
    with pytest.raises(StreamRefused, match=r"chose version 9 .* this gateway speaks 1"):
        decode_welcome(frame_of(chosen), CHALLENGED, NONCE, SECRET)


def test_a_gateway_with_another_secret_is_refused() -> None:
    answer = decode_hello(frame_of(hello(CHALLENGED, b"another", "gw", NONCE)))
    with pytest.raises(StreamRefused, match="secret is wrong"):
        welcome(CHALLENGED, answer, SECRET, 1000)


def test_a_pool_with_another_secret_is_refused() -> None:
    answer = decode_hello(frame_of(hello(CHALLENGED, b"another", "gw", NONCE)))
    chosen = welcome(CHALLENGED, answer, b"another", 1000)
    with pytest.raises(StreamRefused, match="could not prove"):
        decode_welcome(frame_of(chosen), CHALLENGED, NONCE, SECRET)


def test_a_gateways_proof_does_not_serve_as_a_pools() -> None:
    # A false pool that knows no secret sends the gateway's own proof back.
    mirrored = decode_hello(frame_of(hello(Challenge((1,), NONCE), SECRET, "gw", CHALLENGED.nonce))).proof
    document = json.dumps({"version": 1, "frame_bytes": 1000, "proof": mirrored.hex()}).encode()
    for challenge, nonce in ((CHALLENGED, NONCE), (Challenge((1,), NONCE), CHALLENGED.nonce)):
        with pytest.raises(StreamRefused, match="could not prove"):
            decode_welcome(frame_of(encode(WELCOME, document)), challenge, nonce, SECRET)


def test_an_old_proof_does_not_fit_a_new_challenge() -> None:
    answer = decode_hello(frame_of(hello(CHALLENGED, SECRET, "gw", NONCE)))
    with pytest.raises(StreamRefused, match="secret is wrong"):
        welcome(Challenge((1,), b"another nonce 16"), answer, SECRET, 1000)


def test_a_newer_peer_may_say_more() -> None:
    document = json.dumps({"versions": [2, 1], "nonce": "00ff", "zone": "a", "features": ["x"]}).encode()
    assert decode_challenge(frame_of(encode(CHALLENGE, document))) == Challenge((2, 1), b"\x00\xff")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.binary(max_size=60)
    | st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("versions", "nonce", "proof", "version", "frame_bytes", "message"), json_values)
    ).map(lambda document: json.dumps(document).encode()),
    st.sampled_from([CHALLENGE, HELLO, WELCOME]),
)
def test_any_bytes_are_a_handshake_or_refused(payload: bytes, kind: int) -> None:
    frame = Frame(kind, 0, 0, payload, 0, len(payload))
    with contextlib.suppress(StreamRefused):
        decode_challenge(frame)
    with contextlib.suppress(StreamRefused):
        decode_hello(frame)
    with contextlib.suppress(StreamRefused):
        decode_welcome(frame, CHALLENGED, NONCE, SECRET)


def test_deep_nesting_is_refused() -> None:
    payload = b"[" * 4000
    with pytest.raises(StreamRefused, match="JSON"):
        decode_hello(Frame(HELLO, 0, 0, payload, 0, len(payload)))
