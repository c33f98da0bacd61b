"""Secrets wrapped in base64 or gzip: keys, tokens, kubeconfigs, whatever holds a secret inside."""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Callable

from harness.evidence.redaction.cut_keys import is_middle_of_key, lines_of_keys
from harness.evidence.redaction.shapes import redact_run

# Wrapped as `base64` does (76) or as PEM does (64), over lines or escaped newlines; or one run.
_BREAK = r"(?:\\++r)?+(?:\\++n|\r?\n)[ \t]*+"
_LINE = r"(?:[A-Za-z0-9+/]{76}|[A-Za-z0-9+/]{64})(?![A-Za-z0-9+/_.=-])"
_LAST_LINE = r"[A-Za-z0-9+/]{1,76}+={0,2}+(?=[ \t]*+(?:[\\\"'\r\n]|\Z))"
_RUN = re.compile(
    rf"""
    (?<![A-Za-z0-9+/_.-])
    (?:
      {_LINE}(?:{_BREAK}{_LINE})*+(?:{_BREAK}{_LAST_LINE})?+
    | [A-Za-z0-9+/_.-]{{16,}}+={{0,2}}+
    )
    """,
    re.VERBOSE,
)
_BREAK_PATTERN = re.compile(rf"({_BREAK})")
# "-----BEGIN " in base64.
_WRAPPED_PEM = "LS0tLS1CRUdJTi"
# gzip's magic and method (1f 8b 08) and an empty flag byte, as Go writes it, in base64.
_GZIP = "H4sIA"
# The shortest piece of a join token worth hiding: its first bytes are gzip's header only.
_SHORTEST_TOKEN = 16
# Shorter runs are names, uids and flags; base64 of any secret is longer.
_SHORTEST_WRAPPED = 40
# What issuers make is shorter, but for what is told by its wrapping.
_LONGEST_TOKEN = 2000
_LONGEST_CHARACTER = 4
# What is decoded may itself be wrapped (a kubeconfig with keys in base64 inside a gzip).
_DEEPEST = 4

# {" in base64: where the header of a JWT starts.
_JSON_START = "eyJ"
_PRIVATE_KEY = re.compile(
    rb"""
    # PKCS#1, PKCS#8 and SEC 1 keys begin with a sequence whose first member is version 0 or 1.
    \x30(?:[\x00-\x7f]|\x81.|\x82..)\x02\x01[\x00\x01][\x30\x02\x04]
    # PKCS#8 under a password begins with how (PBES2), PKCS#12 with version 3 and what it holds.
    | \x30(?:\x81.|\x82..)\x30.\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d
    | \x30(?:\x81.|\x82..|\x80)\x02\x01\x03\x30
    | openssh-key-v1\x00 | \xfe\xed\xfe\xed\x00\x00\x00 | \xce\xce\xce\xce\x00\x00\x00
    # A keytab of Kerberos.
    | \x05\x02\x00\x00\x00
    """,
    re.VERBOSE | re.DOTALL,
)


_Redact = Callable[[str, int], str]


def redact_wrapped(text: str, redact: _Redact, depth: int) -> str:
    """Return `text` with each run of base64 that holds a secret replaced by its kind.

    `redact` takes secrets out of a text that was unwrapped, with how deep it was.
    """
    runs = list(_RUN.finditer(text))
    of_keys = lines_of_keys(text, runs)
    pieces: list[str] = []
    position = 0
    for run in runs:
        judged = _mark("private key") if run.start() in of_keys else _of_found(run, redact, depth)
        if judged != run.group():
            pieces += [text[position : run.start()], judged]
            position = run.end()
    return "".join([*pieces, text[position:]])


def _of_found(found: re.Match[str], redact: _Redact, depth: int) -> str:
    """Return what stands for one run of characters: base64, a JWT, a token, a plain word."""
    run = found.group()
    skipped = ""
    if found.start() > 0 and found.string[found.start() - 1] == "\\":
        # The run's first letters belong to an escape: n of a newline, u003d of an equals sign.
        letters = 5 if run[0] == "u" else 1
        skipped, run = run[:letters], run[letters:]
    judged = (
        _remembered(run, redact, depth)
        if len(run) < _LONGEST_TOKEN
        else _of_run(run, redact, depth)
    )
    return skipped + judged


def redact_cut_keys(text: str) -> str:
    """Return `text` without the lines of private keys whose beginning and end are cut off."""
    of_keys = lines_of_keys(text, list(_RUN.finditer(text)))
    return _RUN.sub(
        lambda run: _mark("private key") if run.start() in of_keys else run.group(), text
    )


@functools.lru_cache(maxsize=4096)
def _remembered(run: str, redact: _Redact, depth: int) -> str:
    # Digests, paths and certificates come again and again in what a cluster says.
    return _of_run(run, redact, depth)


def _of_run(run: str, redact: _Redact, depth: int) -> str:
    start = 0 if run.startswith("H4sI") else run.find(_GZIP)
    if start != -1 and len(run) - start >= _SHORTEST_TOKEN:
        return f"{_of_run(run[:start], redact, depth)}[redacted: join token]"
    if _JSON_START in run:
        run = _without_jwt(run)
    if len(run) < _LONGEST_TOKEN:
        run = redact_run(run)
    if len(run) < _SHORTEST_WRAPPED or depth >= _DEEPEST or "[" in run:
        return run
    if _BREAK_PATTERN.search(run):
        data = _decoded(_BREAK_PATTERN.sub("", run))
        kind = _kind_of(data, redact, depth)
        if kind is None and is_middle_of_key(data):
            kind = "private key"
        lines = (_of_run(line, redact, depth) for line in _BREAK_PATTERN.split(run))
        return "".join(lines) if kind is None else _mark(kind)
    return ".".join(_of_base64(part, redact, depth) for part in run.split("."))


def _of_base64(run: str, redact: _Redact, depth: int) -> str:
    if len(run) < _SHORTEST_WRAPPED:
        return run
    kind = _kind_of(_decoded(run), redact, depth)
    if kind is not None:
        return _mark(kind)
    # What is wrapped may follow a path or an option directly.
    start = run.find(_WRAPPED_PEM, 1)
    return run if start == -1 else run[:start] + _of_base64(run[start:], redact, depth)


def _kind_of(data: bytes, redact: _Redact, depth: int) -> str | None:
    """Return the kind of secret `data` holds, None where it holds none that is known."""
    if data.startswith(b"\x1f\x8b"):
        return "join token"
    if b"PRIVATE KEY-----" in data or _PRIVATE_KEY.match(data):
        return "private key"
    plain = _text(data)
    if plain and redact(plain, depth + 1) != plain:
        return "encoded secret"
    return None


def _without_jwt(run: str) -> str:
    """Return `run` up to a JWT in it: a header that names an algorithm, a dot, and what follows."""
    parts = run.split(".")
    for index, part in enumerate(parts[:-1]):
        start = part.find(_JSON_START)
        if start != -1 and '"alg"' in _text(_decoded(part[start:])):
            return ".".join([*parts[:index], part[:start] + _mark("bearer token")])
    return run


def _mark(kind: str) -> str:
    return f"[redacted: {kind}]"


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
