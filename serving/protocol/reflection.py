"""Messages of gRPC Server Reflection; their types are in the stub beside this file."""

from __future__ import annotations

from serving.protocol.descriptors import definitions

globals().update(definitions("reflection.proto"))
