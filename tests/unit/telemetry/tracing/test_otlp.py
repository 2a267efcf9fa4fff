"""What is written is read by the messages of opentelemetry-proto as what was meant."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2

from serving.telemetry.tracing import otlp
from serving.telemetry.tracing.otlp import FAILED, Ids, attributes, link, request, resource, span_bytes, state

VALUES = st.one_of(st.text(), st.integers(-(2**63), 2**63 - 1))
IDS = st.integers(1, 2**64 - 1)
NANOSECONDS = st.integers(0, 2**63 - 1)


@given(
    st.text(),
    st.binary(min_size=16, max_size=16),
    IDS,
    st.one_of(st.just(0), IDS),
    NANOSECONDS,
    NANOSECONDS,
    st.dictionaries(st.text(), VALUES, max_size=5),
    st.booleans(),
)
def test_a_span_is_read_as_it_was_meant(  # noqa: PLR0917 - one for each field
    name: str, trace: bytes, own: int, parent: int, start: int, end: int, told: dict[str, str | int], failed: bool
) -> None:
    links = link(trace, own) + link(trace[::-1], 1)
    more = attributes(told) + links + state(name) + (FAILED if failed else b"")
    span = span_bytes(name, Ids(trace, own, parent), start, end, otlp.CLIENT, more)
    of = resource({"service.name": "s" * 200})
    (group,) = ExportTraceServiceRequest.FromString(request([(of, [span] * 2)], "1.2")).resource_spans
    assert [(one.key, one.value.string_value) for one in group.resource.attributes] == [("service.name", "s" * 200)]
    (scope,) = group.scope_spans
    assert (scope.scope.name, scope.scope.version, len(scope.spans)) == ("sluice", "1.2", 2)
    read = scope.spans[0]
    assert (read.name, read.trace_state, read.trace_id, read.span_id, read.parent_span_id) == (
        name,
        name,
        trace,
        own.to_bytes(8),
        parent.to_bytes(8) if parent else b"",
    )
    assert (read.start_time_unix_nano, read.end_time_unix_nano) == (start, max(start, end))
    assert read.kind == trace_pb2.Span.SPAN_KIND_CLIENT
    assert {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in read.attributes} == told
    assert [(one.trace_id, one.span_id) for one in read.links] == [
        (trace, own.to_bytes(8)),
        (trace[::-1], (1).to_bytes(8)),
    ]
    assert read.status.code == (trace_pb2.Status.STATUS_CODE_ERROR if failed else trace_pb2.Status.STATUS_CODE_UNSET)
    size = read.ByteSize()
    read.DiscardUnknownFields()
    assert read.ByteSize() == size


def test_what_is_true_stays_so() -> None:
    span = span_bytes("n", Ids(b"t" * 16, 1, 0), 0, 0, more=attributes({"yes": True, "no": False}))
    read = ExportTraceServiceRequest.FromString(request([(b"", [span])], ""))
    found = read.resource_spans[0].scope_spans[0].spans[0].attributes
    assert [one.value.bool_value for one in found] == [True, False]
    assert [one.value.WhichOneof("value") for one in found] == ["bool_value", "bool_value"]
