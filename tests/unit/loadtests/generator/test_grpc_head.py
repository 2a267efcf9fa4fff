"""Headers out of HPACK without its table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.generator.grpc_head import Name, coded

NAME = Name("grpc-status")
PLAIN = b"\x00\x0bgrpc-status"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        # Of RFC 7541, C.4 and C.6.
        ("www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"),
        ("no-cache", "a8eb10649cbf"),
        ("custom-value", "25a849e95bb8e8b4bf"),
        ("Mon, 21 Oct 2013 20:13:21 GMT", "d07abe941054d444a8200595040b8166e082a62d1bff"),
        ("foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
         "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007"),
    ],
)  # fmt: skip
def test_the_standard_s_own_examples_are_coded_as_there(text: str, code: str) -> None:
    assert coded(text).hex() == code


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="\\"), min_size=1, max_size=90))
def test_what_is_coded_is_read_again(text: str) -> None:
    said = coded(text)
    if len(said) > 126:
        return
    assert NAME.value(PLAIN + bytes((0x80 | len(said),)) + said) == text.encode()
    assert NAME.value(PLAIN + bytes((len(text),)) + text.encode()) == text.encode()


@given(st.binary(max_size=12))
def test_nonsense_has_no_value_and_raises_nothing(rest: bytes) -> None:
    value = NAME.value(PLAIN + rest)
    assert value is None or len(value) <= 8 * len(rest)


def test_a_longer_name_that_begins_alike_is_another_one() -> None:
    assert NAME.value(b"\x00\x17grpc-status-details-bin\x010") is None
    assert NAME.behind(b"") == -1
