"""Whatever happens to a batch in the host, exactly that batch is answered with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from serving.errors import ModelFailed, NotReady, ServingError
from serving.inference import Batch, Hosted, Signature, Stacked, Tensor, TensorSpec, VersionKey
from serving.pool.batch_answer import answer, expired
from serving.pool.inbox import Inbox, Waiting
from serving.wire.batch_frame import decode_failed, decode_result, encode_run
from serving.wire.frame import Frame
from serving.wire.frame_reader import FrameReader

KEY = VersionKey("m", 1)
SIGNATURE = Signature((TensorSpec("x", "UINT8", (-1, 2)),), (TensorSpec("y", "UINT8", (-1, 2)),))
HOSTED = Hosted(KEY, SIGNATURE, batchable=True)
Outputs = tuple[Tensor, ...]


class Host:
    def __init__(self, run: Callable[[Sequence[Tensor]], Outputs]) -> None:
        self._run = run

    def catalogue(self) -> Mapping[VersionKey, Hosted]:
        return {KEY: HOSTED}

    def refused(self) -> Mapping[VersionKey, str]:
        return {}

    def settled(self) -> bool:
        return True

    def on_change(self, callback: Callable[[], None]) -> None:
        """Never changes."""

    def run(self, key: VersionKey, inputs: Sequence[Tensor], rows: int) -> Outputs:
        assert (key, rows) == (KEY, 2)
        return self._run(inputs)


def waiting(shape: tuple[int, ...] = (2, 2), data: bytes = b"abcd", inputs: int = 1) -> Waiting:
    stacked = (Stacked("x", "UINT8", shape, [data]),) * inputs
    inbox = Inbox()
    parts, _ = encode_run(Batch(KEY, stacked, 2, 0.0), 0, 8, 1.0)
    inbox.accept(FrameReader().feed(b"".join(parts)), 0.0)
    return inbox.take()


def answered(
    run: Callable[[Sequence[Tensor]], Outputs], asked: Waiting, hosted: Hosted | None = HOSTED, limit: int = 10_000
) -> Frame:
    (frame,) = FrameReader().feed(b"".join(answer(Host(run), hosted, asked, limit)))
    assert frame.batch_id == 8
    return frame


def error(frame: Frame) -> ServingError:
    failed = decode_failed(frame)
    assert failed is not None
    return failed


def double(inputs: Sequence[Tensor]) -> Outputs:
    assert inputs[0].name == "x"
    return (Tensor("y", "UINT8", inputs[0].shape, bytes(2 * value for value in inputs[0].data)),)


def test_a_batch_is_answered_with_the_hosts_outputs() -> None:
    (output,) = decode_result(answered(double, waiting(data=bytes([1, 2, 3, 4]))), 2, SIGNATURE)
    assert bytes(output.data) == bytes([2, 4, 6, 8])


def test_a_known_error_arrives_with_its_reason_and_text() -> None:
    def run(inputs: Sequence[Tensor]) -> Outputs:
        raise ModelFailed("division by zero")

    failed = error(answered(run, waiting()))
    assert (type(failed), failed.message) == (ModelFailed, "division by zero")


def test_an_unforeseen_error_of_the_host_is_the_models_failure(caplog: pytest.LogCaptureFixture) -> None:
    def run(inputs: Sequence[Tensor]) -> Outputs:
        raise RuntimeError("surprise")

    assert "surprise" in error(answered(run, waiting())).message
    assert "the host failed on a batch" in caplog.text


def test_a_version_that_is_gone_is_not_ready() -> None:
    assert type(error(answered(double, waiting(), hosted=None))) is NotReady


def test_tensors_that_contradict_themselves_fail_their_batch_alone() -> None:
    assert "contradict" in error(answered(double, waiting(shape=(3, 2)))).message


def test_other_inputs_than_the_version_has_fail_their_batch_alone() -> None:
    assert "has 2 inputs; the version takes 1" in error(answered(double, waiting(inputs=2))).message


def test_an_answer_over_the_limit_fails_its_batch_alone() -> None:
    assert "limit of 40" in error(answered(double, waiting(), limit=40)).message


def test_an_expired_batch_is_too_late() -> None:
    (frame,) = FrameReader().feed(expired(waiting()))
    assert error(frame).reason == "deadline_exceeded"
