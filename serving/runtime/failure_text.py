"""What ONNX Runtime's errors mean, in a sentence with what to do."""

from __future__ import annotations

import re

_LONGEST = 300
# What is longer is a dump of shapes or of a graph, and patterns take their time over it.
_LONGEST_READ = 4_000

# Noise around the sentence that matters: the status prefix, and the place in onnxruntime's own sources.
_NOISE = (
    re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : "),
    re.compile(r"Load model from .*? failed: ?"),
    re.compile(r"/onnxruntime_src/\S+:\d+ (?:\S+ )*?\S+\([^()]*(?:\([^()]*\)[^()]*)*\)(?: const)? ?"),
    re.compile(r"\b\w+\.cc:\d+ \w+ "),
    re.compile(r"Name:'' "),
)

# ONNX Runtime's sentence (as of 1.32), and ours; one that is not found is passed on cleaned up.
_LOAD = (
    (
        r"Opset (\d+) is under development.*domain (\S+) is till opset (\d+)",
        (
            r"it needs opset \1 of \2, and the installed onnxruntime knows up to \3; "
            r"export with opset \3 or lower, or install a newer onnxruntime"
        ),
    ),
    (
        r"Unsupported model IR version: (\d+), max supported IR version: (\d+)",
        (
            r"its format (IR version \1) is newer than the installed onnxruntime reads (\2); "
            r"export with an older onnx package, or install a newer onnxruntime"
        ),
    ),
    (
        r"No Op registered for (\S+) with domain_version of (\d+)",
        (
            r"operator \1 does not exist in opset \2; export with the opset that has it, "
            r"or name its library under onnxruntime.custom_op_libraries in model.yaml"
        ),
    ),
    (
        r"(?:Fatal error: )?(\S+?):(\w+)\(-?\d+\) is not a registered function/op",
        (
            r"operator \2 of domain \1 is not known; name its library under onnxruntime.custom_op_libraries "
            r"in model.yaml, or export without it"
        ),
    ),
    (
        r"Could not find an implementation for (\w+)\((\d+)\)",
        (
            r"operator \1 (\2) has no CPU implementation for the types it is used with; "
            r"export with types it has, for example float32 in place of float16"
        ),
    ),
    (
        r"Protobuf parsing failed",
        "this is not an ONNX model, or part of it is missing; export or copy the file again",
    ),
    (
        r"MLDataType for: (\S+) is not currently registered",
        r"it uses \1, which onnxruntime does not support; export with another type",
    ),
)


def load_failure(error: Exception) -> str:
    """Why a model did not load, and what to do where that is known."""
    text = str(error)[:_LONGEST_READ]
    for pattern, sentence in _LOAD:
        found = re.search(pattern, text, re.DOTALL)
        if found:
            return found.expand(sentence)
    return f"onnxruntime cannot load it: {_cleaned(text)}; check the export with onnx.checker"


def run_failure(error: Exception) -> str:
    """What happened in a run: one line, without places in foreign sources."""
    return _cleaned(str(error))


def _cleaned(text: str) -> str:
    text = text[:_LONGEST_READ]
    for noise in _NOISE:
        text = noise.sub("", text)
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
