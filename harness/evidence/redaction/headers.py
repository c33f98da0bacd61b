"""Credentials in HTTP's headers: Authorization of any scheme, bearer tokens, cookies."""

from __future__ import annotations

import base64
import binascii
import re

from harness.evidence.redaction.values import is_prose, looks_random

_SCHEMES = (
    r"bearer|basic|token|negotiate|digest|ntlm|apikey|api-key|key|bot|aws4-hmac-sha256|oauth|hawk"
    r"|signature|genie ?key|ssws|splunk|sharedkey(?:lite)?|sso-key|discogs|aws|macaroon|jwt|mac"
)
_AUTHORIZATION = re.compile(
    rf"(?i:(authorization\\*[\"']?(?:\s?[=:]|,\s?(?=\\*[\"'])|\\*[\"']?,\s?\\*[\"']?value\\*[\"']?:)"
    rf"\s?\[?\\*[\"']?)((?:{_SCHEMES})(?:\s|%20)++)?)(?!\[redacted)([A-Za-z0-9._~+/=:%-]{{4,}}+)"
)
# The parameters of a scheme that has some: Digest username="…", response="…".
_PARAMETERS = re.compile(
    r"(?i:(authorization\\*[\"']?\s?[=:]\s?\[?\\*[\"']?(?:digest|aws4-[\w-]+|oauth|hawk|signature|mac)\s+))"
    r"(?:[\w-]+=(?:\\*\"[^\"\\]*\\*\"|(?:\[redacted: [\w ]+\]|[^\s,\"'\\\[])*),?\s?)+"
)
_BEARER = re.compile(
    r"(?i:(\b(?:bearer|auth (?:plain|login))(?:\s|%20)+))(?!\w+=\\*\")([A-Za-z0-9._~+/=-]{6,}+)"
)
_BASIC = re.compile(r"(?i:(\bbasic(?:\s|%20)+))([A-Za-z0-9+/]{6,}+={0,2})")
_COOKIE = re.compile(
    r"(?i:((?:set-)?cookie2?\\*[\"']?\s?[:=,]\s?\[?\\*[\"']?))"
    r"(?!\[redacted)([\w.%-]{1,80}=(?:[^\"'\\\r\n]|\\++(?![\\nrt\"']))*+)"
)
# `curl -b` takes cookies as they are, or the name of a file, which has no `=`.
_PAIRS = re.compile(r"[^\s=;]{1,80}=[^\s;]*+(?:;[ ]?[^\s=;]{1,80}(?:=[^\s;]*+)?)*+;?")
# An authorization without its scheme, or a bearer in prose, is a plain word below this length.
_SHORTEST_BARE = 20


def redact_headers(text: str) -> str:
    """Return `text` with what identifies somebody in HTTP's headers replaced."""
    lowered = text.lower()
    if "authorization" in lowered:
        text = _PARAMETERS.sub(r"\1[redacted: credentials] ", text)
        text = _AUTHORIZATION.sub(_credentials, text)
    if "bearer" in lowered or "auth " in lowered:
        text = _BEARER.sub(_bearer, text)
    if "basic" in lowered:
        text = _BASIC.sub(_basic, text)
    if "cookie" in lowered:
        text = _COOKIE.sub(_cookie, text)
    return text


def _credentials(found: re.Match[str]) -> str:
    value = found.group(3)
    if found.group(2) is None and not (len(value) >= _SHORTEST_BARE and looks_random(value)):
        return found.group()
    if found.group(2) is not None and (is_prose(value) or _is_sentence(found)):
        return found.group()
    return f"{found.group(1)}[redacted: credentials]"


def _is_sentence(found: re.Match[str]) -> bool:
    """Return whether it is as in "authorization: token review failed"."""
    scheme, value = found.group(2).strip().lower(), found.group(3)
    return scheme not in {"bearer", "basic"} and value.isalpha() and value.islower()


def _bearer(found: re.Match[str]) -> str:
    word = found.group(2)
    if len(word) < _SHORTEST_BARE and not any(letter.isdigit() for letter in word):
        return found.group()
    return f"{found.group(1)}[redacted: bearer token]"


def _basic(found: re.Match[str]) -> str:
    try:
        plain = base64.b64decode(found.group(2) + "==").decode()
    except (binascii.Error, UnicodeDecodeError):
        return found.group()
    if ":" not in plain or not plain.isprintable():
        return found.group()
    return f"{found.group(1)}[redacted: credentials]"


def _cookie(found: re.Match[str]) -> str:
    """Return the header without its cookies; behind a bare one, as in `ps`, the rest stays."""
    value = found.group(2)
    if found.group(1)[-1:] not in "\"'" and (pairs := _PAIRS.match(value)) is not None:
        return f"{found.group(1)}[redacted: cookie]{value[pairs.end() :]}"
    return f"{found.group(1)}[redacted: cookie]"
