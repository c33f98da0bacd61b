"""Secrets known by the name in front of them: `password=…`, `"token": "…"`, `--token …`.

The value's end is found from its quotes at whatever depth of JSON escaping it stands, so that text
which parsed before still parses afterwards. `names` says what a name means, `values` what a value
is; here is which value belongs to which name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.evidence.redaction.blocks import block_values
from harness.evidence.redaction.following import values_behind
from harness.evidence.redaction.named import UNBOUNDED, Named, end_of_name, named_at, start_of_name
from harness.evidence.redaction.names import Test, meaning_of
from harness.evidence.redaction.syntax import (
    LOG_PREFIX,
    Span,
    after_quote,
    line_start,
    quoted_span,
    rest_of_line,
)
from harness.evidence.redaction.values import LONGEST_HARMLESS, is_prose, is_secret, stands_out
from harness.evidence.redaction.vocabulary import any_of, words

# Every name that means a secret has one of these in it, in lower case.
_STEM = re.compile(
    any_of(
        words(
            "pass pw psk pin puk otp mfa token secret cred key auth jwt bearer mnemonic seed kek"
            " dek pepper cookie sess sid communit saml assertion phrase words code certificate-data"
            " signature dockerc encrypt licen etcdctl_user _pat parola clave mdp wort wört contrase"
            " senha hasl hasł senord adgangskode salasana jelsz ifre lozinka geslo heslo slapta"
            " geheimnis парол секрет κωδικ סיסמ 密 口令 パスワード 비밀번호 암호"
        )
    )
)
# The pair of a pod's environment with its value first.
_TURNED = re.compile(
    r"(?P<start>\bvalue\\*[\"']?\s*:\s*)(?P<value>\\*\"[^\"\n]*\"|'[^'\n]*'|[^\s\"',]+)"
    rf"(?=(?:[,\s]|\\+[nr])+(?:{LOG_PREFIX}\s*)?"
    r"\\*[\"']?(?:name|key)\\*[\"']?\s*:\s*\\*[\"']?(?P<name>[\w.-]+))"
)
# A passphrase of words, as many as people take.
_PHRASE = re.compile(r"[a-z]{3,12}(?: [a-z]{3,12}){2,11}(?=[\s\"'\\]|\Z)")
# What a member of a row stands behind: {a: 1, token: …}
_ROW_START = re.compile(r"[{(\[,&?;]\s*\Z")
_LIST_ITEM = re.compile(r"\s*+,?\s*+")
# Of a list in YAML as the one line that `ps` makes of it.
_ITEM = re.compile(r"[ ]-[ ]([^\s\"'\\]+)")
_BARE_IN_JSON = re.compile(r"[^\s\"'\\,}\]]++")
_BARE_ITEM = re.compile(r"[^\s\"'\\,\]\[{}]++")
# What opens a structure, stands for a value, or says how to get one, is none.
_UNPARSED = re.compile(
    r"[\[{](?:[\s\"'{\[\]}\\]|\w+[\"']?[:=]|\Z)|\([\w*. ]*\)|\$\(|`|<\(|<[\w][\w .-]*>"
)
# What stands between two strings of JSON.
_BETWEEN_STRINGS = re.compile(r"[\s,:}\]{\[)]*(?:\d+|true|false|null)?[\s,:}\]{\[)]*")
# The first member of a mapping whose lines stand in one.
_MEMBER = re.compile(r"[a-z]+(?:[A-Z][a-z]+)*:")
_PATH_BEFORE = re.compile(r"(?<![\w.-])[~.]{0,2}/(?:[\w.@+-]+/)*\Z")
# An element of XML is not longer than a few keys.
_LONGEST_ELEMENT = 10 * LONGEST_HARMLESS


def redact_keyed_values(text: str) -> str:
    """Return `text` with the value after each name that means a secret replaced by its kind."""
    if "value" in text:
        text = _TURNED.sub(_turned, text)
    lowered = text.lower()
    if len(lowered) != len(text):
        # A few letters grow when lowered; offsets must stay those of `text`.
        lowered = "".join(letter.lower() if letter.isascii() else letter for letter in text)
    pieces: list[str] = []
    position = looked = 0
    while (found := _STEM.search(lowered, looked)) is not None:
        looked = end_of_name(text, found.end())
        named = named_at(text, max(position, start_of_name(text, found.start())), looked)
        if named is None:
            continue
        for span, mark in _replacements(named):
            pieces += [text[position : span.start], mark]
            position = looked = span.end
    return "".join([*pieces, text[position:]])


def _turned(found: re.Match[str]) -> str:
    meaning = meaning_of(found.group("name"))
    value = found.group("value")
    inner = value.strip("\"'\\")
    if meaning is None or not is_secret(inner, meaning):
        return found.group()
    return found.group("start") + value.replace(inner, f"[redacted: {meaning.kind}]")


def _replacements(named: Named) -> Iterator[tuple[Span, str]]:
    """Yield where each value is that belongs to the name, and what takes its place."""
    if named.text.startswith("[redacted", named.value_start) or _is_outcome(named):
        return
    close = named.joint.group("close")
    if _is_of_json(named) and close is not None:
        # A number of JSON becomes a string.
        yield from ((span, f"{close}{named.mark}{close}") for span in _number(named))
    else:
        yield from ((span, named.mark) for span in _values(named))


def _is_outcome(named: Named) -> bool:
    """Return whether it is a test that passed: `PASS: TestReachable`."""
    return named.name == "PASS" and named.assign == ":"


def _is_of_json(named: Named) -> bool:
    """Return whether the name is in quotes, as a member of JSON is, and its value is not."""
    return (
        bool(named.assign)
        and named.joint.group("close") not in {None, "%22", "&quot;", "&#34;"}
        and _UNPARSED.match(named.text, named.value_start) is None
        and quoted_span(named.text, named.value_start) is None
    )


def _number(named: Named) -> Iterator[Span]:
    bare = _BARE_IN_JSON.match(named.text, named.value_start)
    if bare is not None and named.accepts(bare.group()):
        yield Span(*bare.span())


def _values(named: Named) -> Iterator[Span]:
    if named.joint.group("element") is not None:
        yield from _element(named)
    elif named.joint.group("next") is not None:
        yield from values_behind(named)
    elif named.text.startswith("[", named.value_start):
        yield from _list(named)
    elif (below := _below(named)) is not None:
        yield from below
    else:
        yield from _assigned(named)


def _below(named: Named) -> list[Span] | None:
    if named.assign[-1:] != ":":
        return None
    return block_values(named.text, named.start, named.joint.end("assign"), named.accepts)


def _element(named: Named) -> Iterator[Span]:
    """Yield the text of `<password>…</password>`, or of `<entry key="password">…</entry>`."""
    text, start = named.text, named.value_start
    if text[named.start - 1 : named.start] in {"<", ":"} or named.joint.group("close"):
        end = text.find("<", start, start + _LONGEST_ELEMENT)
        end = text.find("]]>", start, end) if "]]>" in text[start:end] else end
        if end != -1 and named.accepts(text[start:end]):
            yield Span(start, end)


def _list(named: Named) -> Iterator[Span]:
    """Yield the items of `passwords: ["…", …]`."""
    text, position = named.text, named.value_start + 1
    while True:
        gap = _LIST_ITEM.match(text, position)
        position = position if gap is None else gap.end()
        span = quoted_span(text, position)
        if span is not None:
            position = after_quote(span)
        elif (bare := _BARE_ITEM.match(text, position)) is not None:
            span, position = Span(*bare.span()), bare.end()
        else:
            return
        if named.accepts(span.of(text)):
            yield span


def _assigned(named: Named) -> Iterator[Span]:
    text, start = named.text, named.value_start
    quoted = quoted_span(text, start)
    if quoted is not None:
        if named.accepts(quoted.of(text)) and not _closes_string(named, quoted):
            yield quoted
        return
    span = None if _UNPARSED.match(text, start) else _unquoted(named, start)
    while span is not None:
        yield span
        item = _ITEM.match(text, span.end) if text[start - 2 : start] == "- " else None
        span = None if item is None else Span(*item.span(1))


def _closes_string(named: Named, quoted: Span) -> bool:
    """Return whether the quote is the end of the string that the name is in: `"… password:"`."""
    if named.joint.group("close"):
        return False
    value = quoted.of(named.text)
    return value.startswith(" ") or _BETWEEN_STRINGS.fullmatch(value) is not None


def _unquoted(named: Named, start: int) -> Span | None:
    """Return the value without quotes that starts at `start`, where it is a secret."""
    text = named.text
    is_spaced = named.value_start > named.joint.start() + len(named.assign)
    line = line_start(text, named.start)
    if line is not None and is_spaced and named.assign in {":", "="}:
        whole = rest_of_line(text, start, line, UNBOUNDED)
        return whole if whole is not None and named.accepts(whole.of(text)) else None
    span = named.bare(start)
    if span is None or not named.accepts(span.of(text)) or _is_said(named, span):
        return None
    if is_spaced and named.meaning.test is Test.ANY and (phrase := _PHRASE.match(text, start)):
        return Span(*phrase.span())
    if named.assign == ":" and is_spaced and not _ROW_START.search(named.before):
        value = span.of(text)
        return span if _is_certain(named, value) or stands_out(value) else None
    return span


def _is_said(named: Named, span: Span) -> bool:
    """Return whether something is said of the secret, or of a file that is named after it."""
    rest = rest_of_line(named.text, span.start, "", LONGEST_HARMLESS) or span
    if is_prose(rest.of(named.text)):
        return True
    return named.assign == ":" and (
        _MEMBER.fullmatch(span.of(named.text)) is not None
        or _PATH_BEFORE.search(named.before) is not None
    )


def _is_certain(named: Named, value: str) -> bool:
    """Return whether the word behind the colon is a value: prose has "token: …" too."""
    return (
        named.meaning.test is not Test.ASSIGNED
        or (named.meaning.kind == "password" and not value.isalpha())
        # Prose has no names of several words.
        or not named.name.isalpha()
        or not (named.name.islower() or named.name.istitle())
    )
