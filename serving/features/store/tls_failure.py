"""Why a connection over TLS did not come to be, in words for whoever set it up."""

from __future__ import annotations

import ssl

from serving.errors import ServingError


def in_words(error: BaseException) -> str:
    """The failure's own text; where TLS is at the bottom of it, what is wrong with the certificate, and what to do."""
    # What is in our own words already has its cause for whoever debugs.
    found = None if isinstance(error, ServingError) else _tls_error(error)
    if isinstance(found, ssl.SSLCertVerificationError):
        told = found.verify_message.rstrip(".")
        return (
            f"its certificate is not trusted: {told}; name its authority with ssl_ca_certs, and the host as the "
            "certificate does"
        )
    if found is not None and found.reason:
        return f"TLS fails: {found.reason.lower().replace('_', ' ')}"
    return str(error) or type(error).__name__


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None and not isinstance(error, ssl.SSLError):
        # Libraries raise their own in its place, some of them without naming the cause.
        error = error.__cause__ or error.__context__
    return error
