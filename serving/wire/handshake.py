"""Both ends of a new stream prove that they know the secret and agree on a version.

The server sends CHALLENGE (its versions, a nonce), the client HELLO (its versions, its name, a nonce, its proof), the
server WELCOME (the version chosen, its proof, its limit) or REFUSED (a sentence). Payloads are JSON objects; unknown
keys are left alone, so that a newer peer may say more. Proofs are HMAC-SHA256 over the role and both nonces: the role
keeps one end's proof from serving as the other's.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from serving.errors import StreamRefused
from serving.wire.frame import CHALLENGE, HELLO, REFUSED, WELCOME, Frame, encode

# What this release speaks, newest first; one release back stays in the list.
SPOKEN: Final = (1,)
NONCE_BYTES: Final = 16

_CLIENT: Final = b"sluice tensor stream, client\n"
_SERVER: Final = b"sluice tensor stream, server\n"


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the server opens with."""

    versions: tuple[int, ...]
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Hello:
    """What the client answers; `name` is for the server's log."""

    versions: tuple[int, ...]
    name: str
    nonce: bytes
    proof: bytes


@dataclass(frozen=True, slots=True)
class Welcome:
    """The version to speak from now on, and the longest frame that the server takes."""

    version: int
    frame_bytes: int
    proof: bytes


def encode_challenge(challenge: Challenge) -> bytes:
    """The server's first frame."""
    return _encode(CHALLENGE, {"versions": challenge.versions, "nonce": challenge.nonce.hex()})


def decode_challenge(frame: Frame) -> Challenge:
    """Read the server's first frame.

    Raises:
        StreamRefused: it is none, or the server's refusal.
    """
    document = _decode(frame, CHALLENGE)
    return Challenge(_versions(document), _bytes(document, "nonce"))


def hello(challenge: Challenge, secret: bytes, name: str, nonce: bytes, versions: Sequence[int] = SPOKEN) -> bytes:
    """The client's answer."""
    proof = _proof(secret, _CLIENT, challenge.nonce, nonce)
    return _encode(HELLO, {"versions": versions, "name": name, "nonce": nonce.hex(), "proof": proof.hex()})


def decode_hello(frame: Frame) -> Hello:
    """Read the client's answer.

    Raises:
        StreamRefused: it is none.
    """
    document = _decode(frame, HELLO)
    return Hello(
        _versions(document), str(document.get("name", "")), _bytes(document, "nonce"), _bytes(document, "proof")
    )


def welcome(challenge: Challenge, answer: Hello, secret: bytes, frame_bytes: int) -> bytes:
    """The server's WELCOME.

    Raises:
        StreamRefused: no version in common, or a wrong secret; the text names what was offered and what is spoken.
    """
    common = [version for version in challenge.versions if version in answer.versions]
    if not common:
        raise StreamRefused(
            f"this pool speaks version {_listed(challenge.versions)} of the tensor stream and was offered "
            f"{_listed(answer.versions)}; upgrade the older side"
        )
    if not hmac.compare_digest(answer.proof, _proof(secret, _CLIENT, challenge.nonce, answer.nonce)):
        raise StreamRefused("the secret is wrong; give gateway and pool the same one")
    proof = _proof(secret, _SERVER, challenge.nonce, answer.nonce)
    return _encode(WELCOME, {"version": max(common), "frame_bytes": frame_bytes, "proof": proof.hex()})


def refusal(error: StreamRefused) -> bytes:
    """The server's REFUSED."""
    return _encode(REFUSED, {"message": error.message})


def decode_welcome(frame: Frame, challenge: Challenge, nonce: bytes, secret: bytes) -> Welcome:
    """Read the server's WELCOME and check its proof.

    Raises:
        StreamRefused: the server's own words, or it could not prove that it knows the secret.
    """
    document = _decode(frame, WELCOME)
    chosen = Welcome(_number(document, "version"), _number(document, "frame_bytes"), _bytes(document, "proof"))
    if not hmac.compare_digest(chosen.proof, _proof(secret, _SERVER, challenge.nonce, nonce)):
        raise StreamRefused("the pool could not prove that it knows the secret")
    if chosen.version not in SPOKEN:
        raise StreamRefused(
            f"the pool chose version {chosen.version} of the tensor stream, this gateway speaks {_listed(SPOKEN)}"
        )
    return chosen


def _proof(secret: bytes, role: bytes, server_nonce: bytes, client_nonce: bytes) -> bytes:
    return hmac.new(secret, role + server_nonce + client_nonce, hashlib.sha256).digest()


def _encode(kind: int, document: dict[str, Any]) -> bytes:
    return encode(kind, json.dumps(document, separators=(",", ":")).encode())


def _decode(frame: Frame, expected: int) -> dict[str, Any]:
    try:
        document = json.loads(frame.payload)
    except (ValueError, RecursionError) as error:
        raise StreamRefused("the peer sent a handshake that is no JSON") from error
    if not isinstance(document, dict):
        raise StreamRefused("the peer sent a handshake that is no JSON object")
    if frame.kind == REFUSED:
        raise StreamRefused(str(document.get("message", "refused without a reason")))
    if frame.kind != expected:
        raise StreamRefused("the peer sent something else than its part of the handshake")
    return document


def _versions(document: dict[str, Any]) -> tuple[int, ...]:
    versions = document.get("versions")
    if not isinstance(versions, list) or not all(isinstance(version, int) for version in versions):
        raise StreamRefused("the peer sent a handshake without versions")
    return tuple(versions)


def _number(document: dict[str, Any], key: str) -> int:
    number = document.get(key)
    if not isinstance(number, int):
        raise StreamRefused(f"the peer sent a handshake without {key}")
    return number


def _bytes(document: dict[str, Any], key: str) -> bytes:
    try:
        return bytes.fromhex(document[key])
    except (KeyError, TypeError, ValueError) as error:
        raise StreamRefused(f"the peer sent a handshake without {key}") from error


def _listed(versions: Sequence[int]) -> str:
    return ", ".join(map(str, versions)) or "none"
