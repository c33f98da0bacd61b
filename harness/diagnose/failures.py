"""What a request or a connection failed of, by its own words: one table for all programs.

The words are those of Go's net, net/http, crypto/tls and grpc-go, of OpenSSL and curl, and of what
the kubelet and the API server answer. A text of no known kind says nothing of where it failed.
"""

from __future__ import annotations

import re
from enum import StrEnum


class FailedOf(StrEnum):
    """How far something came before it failed."""

    NAME = "name"
    """The name has no address."""
    NETWORK = "network"
    """No connection opened, or one was lost."""
    NO_CERTIFICATE = "no-certificate"
    """The other side has no certificate to show."""
    TLS = "tls"
    """A connection opened, and TLS, or the certificate that was shown, was not agreed on."""
    STATUS = "status"
    """HTTP was answered, and it was no."""
    UNKNOWN = "unknown"


# In order: a text may carry a later class's words inside an earlier one's error.
_TABLE = (
    (
        FailedOf.STATUS,
        (
            r"request failed, status: |unexpected HTTP status code received|Forbidden \(user="
            r"|bad status from|^HTTP \d{3}$|^Unauthorized$|malformed header: missing HTTP content"
        ),
    ),
    (FailedOf.NO_CERTIFICATE, r"tls: internal error|alert internal error"),
    (
        FailedOf.NAME,
        (
            r"no such host|dial \w+: lookup |server misbehaving|[Cc]ould not resolve"
            r"|name resolution|Name or service not known"
        ),
    ),
    (
        FailedOf.TLS,
        (
            r"x509:|tls: |SSL certificate|certificate verify failed|unable to get local issuer"
            r"|self.signed certificate|wrong version number|HTTP response to HTTPS client"
            r"|certificate (?:unknown|required|has expired)|no alternative certificate subject"
        ),
    ),
    (
        FailedOf.NETWORK,
        (
            r"deadline exceeded|[Tt]imeout|timed out|refused|[Nn]o route to host|unreachable"
            r"|[Rr]eset by peer|connection lost|Couldn't connect|Failed to connect|broken pipe"
            r"|SSL_ERROR_SYSCALL|\bEOF\b|closed network connection"
        ),
    ),
)
# What was asked for may have any words in it.
_URL = re.compile(r"\bhttps?://[^\s\"\\]+")
_STATUS = re.compile(r"\b([1-5]\d\d)\b")
# An address and an error are 200 characters.
_MOST_CHARACTERS = 4000


def failed_of(words: str) -> FailedOf:
    """Return what failed, by the words of whoever says so."""
    text = _URL.sub("", words[:_MOST_CHARACTERS])
    return next((kind for kind, pattern in _TABLE if re.search(pattern, text)), FailedOf.UNKNOWN)


def status_of(words: str) -> int | None:
    """Return the HTTP status that was answered, None where it is not said."""
    text = _URL.sub("", words[:_MOST_CHARACTERS])
    if failed_of(text) is not FailedOf.STATUS:
        return None
    if "Unauthorized" in text:
        return 401
    found = _STATUS.search(text)
    return 403 if found is None and "Forbidden" in text else int(found.group()) if found else None
