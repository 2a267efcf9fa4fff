"""The few headers of a gRPC answer that a load needs, read out of HPACK (RFC 7541) without its table.

Who is told that there is room for none keeps no table, and spells out every header whose name is not in the standard's
own: as it is, or in Huffman's code. A name's bytes are then found as any other bytes, which costs a microsecond.
"""

from __future__ import annotations

from functools import lru_cache

# The characters of Huffman's code that headers are made of, by their bits. It is canonical: characters of one length
# follow each other, and the first of each length follows the last of the one before (RFC 7541, appendix B).
_BY_BITS = {
    5: "012aceiost",
    6: " %-./3456789=A_bdfghlmnpru",
    7: ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: "&*,;XZ",
    10: '!"()?',
    11: "'+|",
    12: "#>",
    13: "\0$@[]~",
    14: "^}",
    15: "<`{",
}
_CODED = 0x80
# Longer strings have a length of several bytes.
_LONGEST = 126


def _codes() -> dict[str, str]:
    codes, code, before = {}, 0, 0
    for bits, characters in _BY_BITS.items():
        code <<= bits - before
        for character in characters:
            codes[character] = f"{code:0{bits}b}"
            code += 1
        before = bits
    return codes


_CODES = _codes()
_CHARACTERS = {code: character for character, code in _CODES.items()}


def coded(text: str) -> bytes:
    """In Huffman's code, filled up with ones."""
    bits = "".join(_CODES[character] for character in text)
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


class Name:
    """A header's name that is in no table."""

    __slots__ = ("_spelled",)

    def __init__(self, name: str) -> None:
        short = coded(name)
        self._spelled = (bytes((_CODED | len(short),)) + short, bytes((len(name),)) + name.encode())

    def behind(self, block: bytes) -> int:
        """Where its value begins in a block of headers, or -1."""
        for spelled in self._spelled:
            if (at := block.find(spelled)) >= 0:
                return at + len(spelled)
        return -1

    def value(self, block: bytes) -> bytes | None:
        """None where the block does not have it, or not in one piece of at most 126 bytes."""
        at = self.behind(block)
        if at < 0 or at >= len(block):
            return None
        size = block[at] & _LONGEST + 1
        said = block[at + 1 : at + 1 + size]
        if size > _LONGEST or len(said) < size:
            return None
        return _decoded(said) if block[at] & _CODED else said


# Variants and codes of status are few; what is none of them shall not take all memory.
@lru_cache(maxsize=256)
def _decoded(said: bytes) -> bytes | None:
    bits, text, code = f"{int.from_bytes(said, 'big'):0{8 * len(said)}b}", [], ""
    for bit in bits:
        code += bit
        if (character := _CHARACTERS.get(code)) is not None:
            text.append(character)
            code = ""
    # What is left is filled up with ones, and less than a byte.
    return "".join(text).encode() if len(code) < 8 and "0" not in code else None  # noqa: PLR2004 - bits
