"""Objects whose every value is a secret: Secrets of Kubernetes, keys as JSON and XML, assertions.

A Secret is hidden by what it is, not by the names in it. Here it stands in text: as YAML, also with
its lines escaped or behind a journal's prefix, and as JSON inside something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.evidence.redaction.syntax import LOG_PREFIX
from harness.evidence.redaction.values import is_harmless

_KIND = re.compile(
    rf"(?:\A|(?P<separator>\r?\n|(?P<backslashes>\\++)n)|[\"'])(?:{LOG_PREFIX})?[ \t]*(?:-[ ]+)?"
    rf"kind:[ \t]*\\*[\"']?Secret\\*[\"']?[ \t]*(?=\Z|\r?\n|(?P<after>\\++)[nr]|\\*[\"'])"
)
_LINE = re.compile(
    rf"(?:{LOG_PREFIX})?(?P<indent>[ \t]*+(?P<item>-[ ]++)?+)(?P<text>.*)", re.DOTALL
)
_MEMBER = re.compile(r"(?P<name>[\"'\\]*[\w./-]+[\"'\\]*):(?:[ \t]+(?P<value>.*))?\Z", re.DOTALL)
_DATA = re.compile(r"(?:data|stringData):[ \t]*\Z")
_BLOCK = re.compile(r"[|>][+-]?\d?[+-]?\Z")
# A Secret is at most 1 MiB in etcd; what is further from its kind belongs to something else.
_FARTHEST = 100_000

_JSON_KIND = re.compile(r"\"kind\\*\"\s*:\s*\\*\"Secret\\*\"")
_YAML_SIGN = re.compile(r"kind:[ \t]*\\*[\"']?Secret")
_BRACE = re.compile(r"[{}]")
_JSON_DATA = re.compile(r"(\\*\"(?:data|stringData)\\*\"\s*:\s*\{)([^{}]*)(?=\})")
_JSON_MEMBER = re.compile(r"(\\*\"\s*:\s*(\\*\"))((?:(?!\2)[^\n])*+)")

# A manifest as the one line that `ps` makes of it.
_ONE_LINE = re.compile(
    r"(?<=[ ])(?:data|stringData):[ ](?:[\w./-]+:[ ][^\s\[]\S*[ ]?)+"
    r"(?=[^\n]{0,2000}\bkind: Secret\b)"
    r"|\bkind: Secret\b(?:(?!kind:)[^\n]){0,2000}?[ ](?:data|stringData):[ ]"
    r"(?:[\w./-]+:[ ][^\s\[]\S*[ ]?)+"
)
_ONE_MEMBER = re.compile(r"(?<=:[ ])[^\s\[]\S*(?=[ ]|\Z)(?<!:)")
_JWK = re.compile(r"(\\*\"(?:d|p|q|dp|dq|qi|k)\\*\"\s*:\s*\\*\")[A-Za-z0-9_-]{16,}+")
_XML_KEY = re.compile(r"(<(?:D|P|Q|DP|DQ|InverseQ)>)[A-Za-z0-9+/=\s]{8,}+")
_ASSERTION = re.compile(r"<(?:\w+:)?Assertion\b(?:(?!Assertion>)[\s\S])*+(?:Assertion>)?+")


def redact_objects(text: str) -> str:
    """Return `text` with what objects hold that are secret as a whole replaced."""
    if _YAML_SIGN.search(text):
        text = _replaced(text, _of_yaml(text))
        text = _ONE_LINE.sub(_of_one_line, text)
    if _JSON_KIND.search(text):
        text = _replaced(text, _of_json(text))
    if "kty" in text:
        text = _JWK.sub(r"\1[redacted: private key]", text)
    if "RSAKeyValue" in text:
        text = _XML_KEY.sub(r"\1[redacted: private key]", text)
    if "Assertion" in text and "saml" in text.lower():
        text = _ASSERTION.sub("[redacted: assertion]", text)
    return text


def _of_one_line(found: re.Match[str]) -> str:
    before, data, members = re.split(r"((?:data|stringData):[ ])", found.group(), maxsplit=1)
    return before + data + _ONE_MEMBER.sub("[redacted: secret]", members)


def _replaced(text: str, spans: Iterator[tuple[int, int]]) -> str:
    pieces: list[str] = []
    position = 0
    for start, end in spans:
        if start >= position and not is_harmless(text[start:end]):
            pieces += [text[position:start], "[redacted: secret]"]
            position = end
    return "".join([*pieces, text[position:]])


def _of_yaml(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the values of Secrets in YAML are."""
    floor = 0
    for kind in _KIND.finditer(text):
        if kind.start() < floor:
            continue
        lines = list(_lines_around(text, kind, floor))
        at = next((i for i, line in enumerate(lines) if line.end() >= kind.end()), len(lines) - 1)
        if at >= 0:
            first, last = _bounds(lines, at)
            yield from _values_of(lines[first:last], len(lines[at].group("indent")))
            floor = lines[last - 1].end()


def _lines_around(text: str, kind: re.Match[str], floor: int) -> Iterator[re.Match[str]]:
    """Yield the lines of what `kind` stands in: the text, or the string with its lines escaped."""
    start, end = max(floor, kind.start() - _FARTHEST), min(len(text), kind.end() + _FARTHEST)
    backslashes = kind.group("backslashes") or kind.group("after")
    line_end = r"\r?\n"
    if backslashes:
        # A line's end has one backslash more than the quotes around the string.
        line_end = rf"(?<!\\)\\{{{len(backslashes)}}}[nr]"
        quote = re.compile(rf"(?<!\\)\\{{{len(backslashes) - 1}}}[\"']")
        for found in quote.finditer(text, start, end):
            if found.start() >= kind.end():
                end = found.start()
                break
            start = found.end() if found.end() <= kind.start() + 1 else start
    position = start
    ends = [
        (start + one.start(), start + one.end()) for one in re.finditer(line_end, text[start:end])
    ]
    for stop, following in [*ends, (end, end)]:
        line = _LINE.match(text, position, stop)
        if line is not None:
            yield line
        position = following


def _bounds(lines: list[re.Match[str]], at: int) -> tuple[int, int]:
    """Return the first line of the object that line `at` is of, and the one behind its last."""
    indent = len(lines[at].group("indent"))
    first = at
    while first > 0 and not lines[first].group("item") and _is_inside(lines[first - 1], indent):
        first -= 1
    last = at + 1
    while (
        last < len(lines)
        and _is_inside(lines[last], indent)
        and not (lines[last].group("item") and len(lines[last].group("indent")) <= indent)
    ):
        last += 1
    return first, last


def _is_inside(line: re.Match[str], indent: int) -> bool:
    text = line.group("text")
    return not text.strip() or (len(line.group("indent")) >= indent and not text.startswith("---"))


def _values_of(lines: list[re.Match[str]], indent: int) -> Iterator[tuple[int, int]]:
    """Yield the values of the members of `data` and `stringData`, which stand at `indent`."""
    inside = False
    block = -1
    for line in lines:
        width = len(line.group("indent"))
        if width <= indent and line.group("text").strip():
            inside = _DATA.match(line.group("text")) is not None
            block = -1
            continue
        if not inside or not line.group("text").strip():
            continue
        if block != -1 and width > block:
            yield line.span("text")
            continue
        member = _MEMBER.match(line.group("text"))
        value = None if member is None else (member.group("value") or "").strip()
        block = width if not value or _BLOCK.match(value) else -1
        if member is not None and block == -1:
            yield line.start("text") + member.start("value"), line.end("text")


def _of_json(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the values of Secrets in JSON are that stand inside other text."""
    kinds = list(_JSON_KIND.finditer(text))
    for index, kind in enumerate(kinds):
        floor = kinds[index - 1].end() if index else 0
        limit = kinds[index + 1].start() if index + 1 < len(kinds) else len(text)
        start = _opening(text, floor, kind.start())
        end = _closing(text, kind.end(), limit)
        for data in _JSON_DATA.finditer(text, start, end):
            for member in _JSON_MEMBER.finditer(text, data.start(2), data.end(2)):
                yield member.span(3)


def _opening(text: str, floor: int, position: int) -> int:
    depth = 0
    for brace in reversed(list(_BRACE.finditer(text, max(floor, position - _FARTHEST), position))):
        depth += 1 if brace.group() == "}" else -1
        if depth < 0:
            return brace.start()
    return floor


def _closing(text: str, position: int, limit: int) -> int:
    depth = 0
    for brace in _BRACE.finditer(text, position, min(limit, position + _FARTHEST)):
        depth += 1 if brace.group() == "{" else -1
        if depth < 0:
            return brace.start()
    return limit
