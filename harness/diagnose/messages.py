"""Classes of the text in a FailedDiscoveryCheck condition.

The same cause shows different texts from poll to poll, and different ones behind another gateway;
so an expectation names a class, and the diagnosis never rests on a text alone. The texts were seen
on real clusters (k0s v1.32.3) and in the threads of metrics-server#304, kubernetes#66231, #83332,
k0s#1547, #5809.
"""

from __future__ import annotations

import re

from harness.vocabulary.words import MessageClass

# In order: a text may carry a later class's words inside an earlier one's error.
_CLASSES = (
    (MessageClass.NO_AGENT, r"No agent available|No backend available"),
    (MessageClass.PROXY, r"proxyconnect|Proxy Authentication Required|\bForbidden\b"),
    (MessageClass.TLS, r"x509:|tls: |TLS handshake"),
    (MessageClass.REFUSED, r"connection refused"),
    (MessageClass.NO_ROUTE, r"no route to host|network is unreachable"),
    (MessageClass.BAD_STATUS, r"bad status from"),
    (
        MessageClass.TIMED_OUT,
        (
            r"context deadline exceeded|request canceled while waiting for connection"
            r"|Client\.Timeout exceeded|dial timeout|i/o timeout|timed out waiting for"
        ),
    ),
)

# An address and an error are 200 characters, and every look at a condition is classified anew.
_MOST_CHARACTERS = 4000


def classify(message: str) -> MessageClass:
    """Return the class of a condition's message; `unknown` for a text of no known kind."""
    beginning = message[:_MOST_CHARACTERS]
    for name, pattern in _CLASSES:
        if re.search(pattern, beginning):
            return name
    return MessageClass.UNKNOWN
