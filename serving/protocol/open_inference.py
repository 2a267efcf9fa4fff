"""Messages of the Open Inference Protocol and the extensions served; their types are in the stub beside this file."""

from __future__ import annotations

from serving.protocol.descriptors import definitions

globals().update(definitions("open_inference.proto"))
