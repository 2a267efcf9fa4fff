"""Messages of the gRPC Health Checking Protocol; their types are in the stub beside this file."""

from __future__ import annotations

from serving.protocol.descriptors import definitions

globals().update(definitions("health.proto"))
