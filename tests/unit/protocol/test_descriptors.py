"""The message types are made from the .proto files, and clash with nobody's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from serving.protocol.open_inference import DataType, InferParameter, ModelInferRequest

FOLDER = Path(__file__).parents[3] / "serving" / "protocol"
FILES = ("open_inference.proto", "health.proto", "reflection.proto")

# What tritonclient, KServe's client and MLServer each do when they are imported.
_BESIDE = """
from google.protobuf import descriptor_pb2, descriptor_pool
theirs = descriptor_pb2.FileDescriptorProto(name="grpc_service.proto", package="inference", syntax="proto3")
theirs.message_type.add(name="ModelInferRequest").field.add(name="other", number=1, type=9, label=1)
descriptor_pool.Default().AddSerializedFile(theirs.SerializeToString())
from serving.protocol.open_inference import ModelInferRequest
assert "model_name" in ModelInferRequest.DESCRIPTOR.fields_by_name
"""


def test_the_descriptors_and_stubs_are_what_the_proto_files_say(tmp_path: Path) -> None:
    made = [f"--descriptor_set_out={tmp_path / 'made.binpb'}", f"--pyi_out={tmp_path}"]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{FOLDER}", *made, *FILES], check=True)
    fresh = FileDescriptorSet.FromString((tmp_path / "made.binpb").read_bytes())
    kept = FileDescriptorSet.FromString((FOLDER / "descriptors.binpb").read_bytes())
    assert fresh == kept, "run `make protocol`"
    for file in FILES:
        name = file.removesuffix(".proto")
        assert (tmp_path / f"{name}_pb2.pyi").read_text() == (FOLDER / f"{name}.pyi").read_text(), "run `make protocol`"


def test_the_messages_live_beside_another_package_of_the_same_name() -> None:
    subprocess.run([sys.executable, "-c", _BESIDE], check=True, cwd=FOLDER.parents[1])


def test_a_message_goes_over_the_wire_as_the_specification_numbers_its_fields() -> None:
    asked = ModelInferRequest(model_name="m", id="i", raw_input_contents=[b"x"])
    asked.parameters["priority"].CopyFrom(InferParameter(uint64_param=3))
    tensor = asked.inputs.add(name="a", datatype="INT8", shape=[1])
    tensor.contents.int_contents.append(5)
    parameter = b"\x0a\x08priority\x12\x02\x28\x03"
    contents = b"\x0a\x01a\x12\x04INT8\x1a\x01\x01\x2a\x03\x12\x01\x05"
    written = b"\x0a\x01m\x1a\x01i\x22%c%b\x2a%c%b\x3a\x01x" % (len(parameter), parameter, len(contents), contents)
    assert asked.SerializeToString() == written
    assert ModelInferRequest.FromString(written) == asked


def test_an_enumeration_has_its_names() -> None:
    assert DataType.Value("TYPE_BF16") == 14
    assert DataType.TYPE_STRING == 13
