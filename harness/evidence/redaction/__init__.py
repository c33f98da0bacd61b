"""Taking secrets out of text before it is written anywhere.

One pure function, `redact`. It takes linear time on any input, changes nothing the second time, and
leaves JSON as JSON, so that a verdict made again from redacted evidence is the same verdict. What
it knows, each in a module: blocks of private keys (`pem`), Secrets and other objects that are
secret as a whole (`objects`), what is wrapped in base64 or gzip (`wrapped`), tokens and hashes by
their form (`shapes`), addresses, headers of HTTP, arguments of programs, statements, and the values
of names that mean a secret (`names`, `values`, `keyed`). Digests, uids, certificates and names of
objects stay.
"""

from __future__ import annotations

from harness.evidence.redaction.text import redact

__all__ = ["redact"]
