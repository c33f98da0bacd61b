"""Taking secrets out of text before it is written anywhere.

One pure function, `redact`. It takes linear time on any input, changes nothing the second time, and
leaves JSON as JSON, so that a verdict made again from redacted evidence is the same verdict. What
it knows: k0s join tokens, private keys, client certificates and keys of a kubeconfig, bearer
tokens, passwords in URLs, registry credentials, cloud keys, password hashes, whatever stands after
a name that means a secret, and all of these wrapped in base64 or gzip. Digests, uids and names of
objects stay.
"""

from __future__ import annotations

import base64
import binascii
import re

from harness.evidence.json_text import is_json
from harness.evidence.json_text import redact_json
from harness.evidence.keyed import redact_keyed_values
from harness.evidence.pem import redact_private_keys

# Wrapped as `base64` does (76) or as PEM does (64), over lines or escaped newlines; or one run.
_BREAK = r"(?:\\++r)?+(?:\\++n|\r?\n)[ \t]*+"
_LINE = r"(?:[A-Za-z0-9+/]{76}|[A-Za-z0-9+/]{64})(?![A-Za-z0-9+/_.=-])"
_RUN = re.compile(
    rf"""
    (?<![A-Za-z0-9+/_.-])
    (?:
      {_LINE}(?:{_BREAK}{_LINE})*+(?:{_BREAK}[A-Za-z0-9+/]{{1,76}}+={{0,2}}+(?![A-Za-z0-9+/_.-]))?+
    | [A-Za-z0-9+/_.-]{{16,}}+={{0,2}}+
    )
    """,
    re.VERBOSE,
)
_BREAK_PATTERN = re.compile(rf"({_BREAK})")
_ESCAPED_LETTER = re.compile(r"\\(?:u00|/)")
# "-----BEGIN " in base64.
_WRAPPED_PEM = "LS0tLS1CRUdJTi"
# A secret may stand out only once its neighbour is gone; what is left alone is left alone at once.
_PASSES = 4
# gzip's magic and method (1f 8b 08) and an empty flag byte, as Go writes it, in base64.
_GZIP = "H4sIA"
# The shortest piece of a join token worth hiding: its first bytes are gzip's header only.
_SHORTEST_TOKEN = 16
# Shorter runs are names, uids and flags; base64 of any secret is longer.
_SHORTEST_WRAPPED = 40
_LONGEST_CHARACTER = 4
# What is decoded may itself be wrapped (a kubeconfig with keys in base64 inside a gzip).
_DEEPEST = 4

# {" in base64: where the header of a JWT starts.
_JSON_START = "eyJ"
# PKCS#1, PKCS#8 and SEC 1 keys all begin with a sequence whose first member is version 0 or 1.
_DER_PRIVATE_KEY = re.compile(
    rb"\x30(?:[\x00-\x7f]|\x81.|\x82..)\x02\x01[\x00\x01][\x30\x02\x04]", re.DOTALL
)

_SECRET_BY_SHAPE = (
    ("access key", re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])")),
    ("token", re.compile(r"(?:gh[pousr]_|github_pat_|glpat-|xox[bp]-)[A-Za-z0-9_-]{20,}+")),
    # Kubernetes' bootstrap tokens. A digit in the second half tells them from domain names; names
    # of events end in 16 hexadecimal digits (worker.17f8…), which a random token never does.
    (
        "bootstrap token",
        re.compile(
            r"(?:(?<![A-Za-z0-9.-])|(?<=\\[nrt]))[a-z0-9]{6}\."
            r"(?=[a-z]{0,15}[0-9])(?![0-9a-f]{16})[a-z0-9]{16}(?![A-Za-z0-9.-])"
        ),
    ),
    ("password hash", re.compile(r"\$(?:1|2[aby]|5|6|y|7)\$[A-Za-z0-9./$=,]{20,}+")),
)
_TEMPERED = r"(?:[^\s/\"'<>\\]|\\++(?![\\nrt\"']))"
_URL_PASSWORD = re.compile(rf"(://[^\s/:@\"'<>\\]*+:)(?!redacted-password@){_TEMPERED}*(?=@)")
# A proxy may be given without a scheme.
_PROXY = re.compile(rf"(?i:(_proxy\\*[\"']?\s?[=:]\s?\\*[\"']?))({_TEMPERED}++)")
_USER_ARGUMENT = re.compile(
    r"((?<![\w-])(?:-u|--(?:proxy-)?user)[= ][^\s:\"'\\]{0,80}+:)"
    r"(?!\d+\b|redacted-password\b)[^\s\"'\\]++"
)
_AUTHORIZATION = re.compile(
    r"(?i:(authorization\\*[\"']?\s?[=:]\s?\[?\\*[\"']?)"
    r"((?:bearer|basic|token|negotiate|digest)(?:\s|%20))?)([A-Za-z0-9._~+/=-]{4,}+)"
)
_BEARER = re.compile(r"(?i:(\bbearer(?:\s|%20)+))([A-Za-z0-9._~+/=-]{6,}+)")
# An authorization without its scheme, or a bearer in prose, is a plain word below this length.
_SHORTEST_BARE_CREDENTIAL = 20


def redact(text: str) -> str:
    """Return `text` with each secret replaced by `[redacted: KIND]`.

    A password inside a URL becomes `redacted-password`, so that the URL stays one. Nothing of a
    secret is kept, not even a hash: a password's hash can be guessed.
    """
    for _ in range(_PASSES):
        before, text = text, _redact_once(text)
        if text == before:
            break
    return text


def _redact_once(text: str) -> str:
    plain = _redact(text, 0)
    # Most text holds no secret, and then the cheap look is enough; escaped letters may hide one.
    if plain == text and _ESCAPED_LETTER.search(text) is None:
        return text
    if is_json(text):
        return redact_json(redact_private_keys(text), _redact_once)
    lines = text.split("\n")
    if len(lines) > 1 and all(line[:1] in {"{", ""} for line in lines):
        lines = redact_private_keys(text).split("\n")
        return "\n".join(_redact_once(line) for line in lines)
    return plain


def _redact(text: str, depth: int) -> str:
    text = redact_private_keys(text)
    text = _RUN.sub(lambda run: _judge(run, depth), text)
    for kind, pattern in _SECRET_BY_SHAPE:
        text = pattern.sub(f"[redacted: {kind}]", text)
    text = _URL_PASSWORD.sub(r"\1redacted-password", text)
    text = _PROXY.sub(_proxy, text)
    text = _USER_ARGUMENT.sub(r"\1redacted-password", text)
    text = _AUTHORIZATION.sub(_credential, text)
    text = _BEARER.sub(_bearer, text)
    return redact_keyed_values(text)


def _proxy(found: re.Match[str]) -> str:
    user_and_password, at, host = found.group(2).rpartition("@")
    user, colon, _ = user_and_password.partition(":")
    return f"{found.group(1)}{user}{colon}redacted-password{at}{host}" if colon else found.group()


def _credential(found: re.Match[str]) -> str:
    if found.group(2) is None and len(found.group(3)) < _SHORTEST_BARE_CREDENTIAL:
        return found.group()
    return f"{found.group(1)}{found.group(2) or ''}[redacted: credentials]"


def _bearer(found: re.Match[str]) -> str:
    word = found.group(2)
    if len(word) < _SHORTEST_BARE_CREDENTIAL and not any(letter.isdigit() for letter in word):
        return found.group()
    return f"{found.group(1)}[redacted: bearer token]"


def _judge(found: re.Match[str], depth: int) -> str:
    """Return what stands for one run of characters that may be base64, a JWT or a plain word."""
    run = found.group()
    skipped = ""
    if found.start() > 0 and found.string[found.start() - 1] == "\\":
        # The run's first letters belong to an escape: n of a newline, u003d of an equals sign.
        letters = 5 if run[0] == "u" else 1
        skipped, run = run[:letters], run[letters:]
    return skipped + _judge_run(run, depth)


def _judge_run(run: str, depth: int) -> str:
    start = 0 if run.startswith("H4sI") else run.find(_GZIP)
    if start != -1 and len(run) - start >= _SHORTEST_TOKEN:
        return f"{_judge_run(run[:start], depth)}[redacted: join token]"
    if _JSON_START in run:
        run = _without_jwt(run)
    if len(run) < _SHORTEST_WRAPPED or depth >= _DEEPEST:
        return run
    if _BREAK_PATTERN.search(run):
        kind = _secret_kind(_decoded(_BREAK_PATTERN.sub("", run)), depth)
        lines = _BREAK_PATTERN.split(run)
        return "".join(_judge_run(line, depth) for line in lines) if kind is None else _mark(kind)
    return ".".join(_judge_base64(part, depth) for part in run.split("."))


def _without_jwt(run: str) -> str:
    """Return `run` up to a JWT in it: a header that names an algorithm, a dot, and what follows."""
    parts = run.split(".")
    for index, part in enumerate(parts[:-1]):
        start = part.find(_JSON_START)
        if start != -1 and '"alg"' in _text(_decoded(part[start:])):
            return ".".join([*parts[:index], part[:start] + _mark("bearer token")])
    return run


def _judge_base64(run: str, depth: int) -> str:
    if len(run) < _SHORTEST_WRAPPED:
        return run
    kind = _secret_kind(_decoded(run), depth)
    if kind is not None:
        return _mark(kind)
    # What is wrapped may follow a path or an option directly.
    start = run.find(_WRAPPED_PEM, 1)
    return run if start == -1 else run[:start] + _judge_base64(run[start:], depth)


def _mark(kind: str) -> str:
    return f"[redacted: {kind}]"


def _secret_kind(data: bytes, depth: int) -> str | None:
    """Return the kind of secret `data` holds, None where it holds none that is known."""
    if data.startswith(b"\x1f\x8b"):
        return "join token"
    if b"PRIVATE KEY-----" in data or _DER_PRIVATE_KEY.match(data):
        return "private key"
    plain = _text(data)
    if plain and _redact(plain, depth + 1) != plain:
        return "encoded secret"
    return None


def _decoded(run: str) -> bytes:
    """Return what the base64 `run` (either alphabet, padded or cut off) decodes to, or nothing."""
    standard = run.rstrip("=").replace("-", "+").replace("_", "/")
    standard = standard[: len(standard) // 4 * 4] if len(standard) % 4 == 1 else standard
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        # A run that was cut off may end inside a character.
        return data[: error.start].decode() if len(data) - error.start < _LONGEST_CHARACTER else ""
