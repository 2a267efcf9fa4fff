"""HTTP/2 as the edge wants it of libnghttp2: windows, frames, and bounds on what a client may send."""

from __future__ import annotations

from ngh2 import Configuration
from ngh2 import Connection as Http2
from ngh2.config import Role
from ngh2.enums import Setting

from serving.edge.grpc.limits import GrpcLimits

# What a stream, and all of a connection together, may send before it is taken.
_STREAM_WINDOW = 1 << 20
_CONNECTION_WINDOW = 1 << 24
_MAX_FRAME = 1 << 18
# Metadata of up to so many times the bound is read, to be refused in words.
_HARD = 4
# Deadlines of many calls may pass at once.
_BURST_S = 10


def http2_server(limits: GrpcLimits) -> Http2:
    """The server's side of a connection, with its bounds."""
    options = Configuration(
        auto_window_update=False,
        # Beyond these the connection ends, without a word to whom the call is.
        max_inbound_header_list_size=_HARD * limits.max_head_bytes,
        max_inbound_header_count=_HARD * limits.max_headers,
        # libnghttp2's own bound is 1000 and then 33 a second: a client whose calls time out reaches it.
        stream_reset_rate_limit=(_BURST_S * limits.max_resets_per_s, limits.max_resets_per_s),
    )
    http2 = Http2(Role.SERVER, options)
    http2.initiate_connection(
        {
            Setting.MAX_CONCURRENT_STREAMS: limits.max_concurrent_streams,
            Setting.INITIAL_WINDOW_SIZE: _STREAM_WINDOW,
            Setting.MAX_FRAME_SIZE: _MAX_FRAME,
            Setting.MAX_HEADER_LIST_SIZE: limits.max_head_bytes,
        }
    )
    http2.set_local_window_size(_CONNECTION_WINDOW)
    return http2
