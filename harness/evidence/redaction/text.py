"""The rules in their order, and how often: until a text stays as it is."""

from __future__ import annotations

import contextlib
import functools
import re

from harness.evidence.redaction.addresses import redact_addresses
from harness.evidence.redaction.arguments import redact_arguments
from harness.evidence.redaction.headers import redact_headers
from harness.evidence.redaction.json_text import is_json, redact_json
from harness.evidence.redaction.keyed import redact_keyed_values
from harness.evidence.redaction.objects import redact_objects
from harness.evidence.redaction.pem import redact_private_keys
from harness.evidence.redaction.shapes import redact_shapes
from harness.evidence.redaction.statements import redact_statements
from harness.evidence.redaction.wrapped import redact_cut_keys, redact_wrapped

# Escaped letters may hide what the rules for plain text look for.
_ESCAPED_LETTER = re.compile(r"\\(?:u[0-9a-fA-F]{4}|/)")
# A secret may stand out only once its neighbour is gone; what is left alone is left alone at once.
_PASSES = 4
# What a cluster says comes again with each look: its words, and most of its answers whole.
_WORD = 256
_ANSWER = 16 * 1024


def redact(text: str) -> str:
    """Return `text` with each secret replaced by `[redacted: KIND]`.

    A password inside a URL becomes `redacted-password`, so that the URL stays one. Nothing of a
    secret is kept, not even a hash: a password's hash can be guessed.
    """
    if len(text) <= _WORD:
        return _redact_word(text)
    return _redact_answer(text) if len(text) <= _ANSWER else _redact_all(text)


def _redact_all(text: str) -> str:
    for _ in range(_PASSES):
        before, text = text, _redact_once(text)
        if text == before:
            break
    return text


_redact_word = functools.lru_cache(maxsize=8192)(_redact_all)
_redact_answer = functools.lru_cache(maxsize=256)(_redact_all)


def _redact_once(text: str) -> str:
    plain = _redact(text, 0)
    # Most text holds no secret, and then the cheap look is enough; escaped letters may hide one.
    if plain == text and _ESCAPED_LETTER.search(text) is None:
        return text
    if is_json(text):
        return _redact_document(text)
    lines = text.split("\n")
    if len(lines) > 1 and all(line[:1] in {"{", ""} for line in lines):
        # A key may go over them all.
        lines = redact_cut_keys(redact_private_keys(text)).split("\n")
        return "\n".join(_redact_once(line) for line in lines)
    return plain


def _redact_document(text: str) -> str:
    """Return a JSON document redacted by what it says, and by the rules for text where it may."""
    text = redact_private_keys(text)
    with contextlib.suppress(RecursionError):
        text = redact_json(text, _redact_once)
    plain = _redact(text, 0)
    return plain if plain != text and is_json(plain) else text


def _redact(text: str, depth: int) -> str:
    text = redact_private_keys(text)
    text = redact_objects(text)
    text = redact_wrapped(text, _redact, depth)
    text = redact_shapes(text)
    text = redact_addresses(text)
    text = redact_headers(text)
    text = redact_arguments(text)
    text = redact_statements(text)
    return redact_keyed_values(text)
