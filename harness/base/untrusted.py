"""Text that somebody else wrote, read within limits: the one way from such a file to data.

A file of some hundred bytes can make a parser take gigabytes (an alias of a list of aliases) or
minutes (a thousand brackets). So everything is bounded before it is believed: the file's size, the
depth of what is in it, the number of its values as they are once aliases stand for what they name,
the length of a number. What is over a limit is refused with a sentence that names the limit.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """How much one kind of file may hold; `what` names the kind, such as "a k0sctl.yaml".

    `values` counts keys, scalars, lists and mappings, an alias as all that it stands for.
    """

    what: str
    most_bytes: int
    # No configuration nests this deep, and parsers recurse.
    most_levels: int = 32
    most_values: int = 50_000


class RefusedError(ValueError):
    """A text is over a limit or is not what it should be; the message is the end of a sentence."""


def read_bytes(path: Path, limits: Limits, *, own: bool = False) -> bytes:
    """Return the content of the plain file `path`; with `own` it must be this user's.

    Raises `RefusedError` for one that is too large, no plain file (a pipe of that name would be
    waited for without end) or not this user's own, and `OSError` where it cannot be read. An own
    file is no link either: whose a link is says nothing of what it leads to.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (os.O_NOFOLLOW if own else 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise RefusedError("it is not a plain file")
        if own and status.st_uid != os.geteuid():
            raise RefusedError(f"it belongs to the user with the number {status.st_uid}")
        data = file.read(limits.most_bytes + 1)
    require_size(data, limits)
    return data


def read_text(path: Path, limits: Limits, *, own: bool = False) -> str:
    """Return the content of the UTF-8 file `path`; raises as `read_bytes`."""
    try:
        return read_bytes(path, limits, own=own).decode()
    except UnicodeDecodeError as error:
        raise RefusedError(f"it is not UTF-8 text: byte {error.start} is not") from None


def require_size(data: bytes | memoryview, limits: Limits) -> None:
    """Raise `RefusedError` for more bytes than the limit."""
    if len(data) > limits.most_bytes:
        raise RefusedError(
            f"it has more than {_size(limits.most_bytes)}, which {limits.what} never has"
        )


def json_value(text: str, limits: Limits) -> Any:  # noqa: ANN401  # any JSON value
    """Return `text` as JSON; raises `RefusedError` for what is none or is over a limit.

    NaN and the infinities are refused, 1e999 among them: they are no JSON, and no comparison with
    them means a thing. So is half of a character (an escaped surrogate alone): no file and no
    terminal takes it.
    """
    # Each value but the first follows one of these, so this is never too small; it counts those in
    # strings as well, and then the exact count decides.
    if sum(text.count(mark) for mark in ",[{:") >= limits.most_values or _may_be_deep(text, limits):
        _require_json_within(text, limits)
    return plain_json(text)


def plain_json(text: str) -> Any:  # noqa: ANN401  # any JSON value
    """Return `text` as JSON where its size is bounded already; refuses otherwise as `json_value`.

    Raises `RefusedError`.
    """
    try:
        value = _JSON.decode(text)
        if _SURROGATE.search(text) is not None:
            json.dumps(value, ensure_ascii=False).encode()
    except RefusedError:
        raise
    except UnicodeEncodeError:
        raise RefusedError("it is not JSON: an escape in it is half of a character") from None
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"it is not JSON: {error}") from None
    return value


def require_yaml_within(text: str, limits: Limits) -> None:
    """Raise `RefusedError` where the YAML `text`, all its documents, is over a limit.

    What is no YAML is left to the parser that comes next: it says where.
    """
    require_size(text.encode(errors="replace"), limits)
    count = _Count()
    try:
        for event in yaml.parse(text, Loader=_Events):
            line = event.start_mark.line + 1 if event.start_mark is not None else 1
            count.add(event, line)
            if count.level > limits.most_levels or count.values > limits.most_values:
                raise _over(limits, count.level, line=line)
    except RefusedError:
        raise
    except yaml.MarkedYAMLError as error:
        # libyaml reads on where `[` may begin a key, and (as of PyYAML 6.0.4) ends at a depth of
        # its own, 1000, before it has told of any level.
        if "nesting depth" in str(error.problem):
            line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
            raise _over(limits, limits.most_levels + 1, line=line) from None
    except (yaml.YAMLError, ValueError, OverflowError):
        return


# A string, or one of the marks that open, close and part; what stands between needs no look.
_JSON_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{},:]', re.DOTALL)


def _may_be_deep(text: str, limits: Limits) -> bool:
    return text.count("[") + text.count("{") > limits.most_levels


def _require_json_within(text: str, limits: Limits) -> None:
    level = 0
    values = 1
    for token in _JSON_TOKEN.finditer(text):
        mark = token.group()[0]
        if mark in "[{":
            level += 1
            values += 1
        elif mark in "]}":
            level -= 1
        elif mark != '"':
            values += 1
        if level > limits.most_levels or values > limits.most_values:
            raise _over(limits, level, line=text.count("\n", 0, token.start()) + 1)


def _over(limits: Limits, level: int, *, line: int) -> RefusedError:
    """Return the error for what is over the limit of levels or, if that is not it, of values."""
    if level > limits.most_levels:
        return RefusedError(
            f"it nests deeper than {limits.most_levels} levels in line {line}, which"
            f" {limits.what} never does"
        )
    return RefusedError(
        f"it has more than {limits.most_values} values up to line {line}, aliases written out,"
        f" which {limits.what} never has"
    )


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _refuse_constant(word: str) -> None:
    raise RefusedError(f"it is not JSON: {word} is no number")


def _finite(word: str) -> float:
    number = float(word)
    if not math.isfinite(number):
        raise RefusedError(f"it is not JSON: {word:.20} is too large a number")
    return number


# Once: `json.loads` makes one for each of a recording's thousands of lines.
_JSON = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)

# libyaml's parser where PyYAML was built with it: eight times as fast as PyYAML's own.
_Events: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Count:
    """Counts the values of a YAML text event by event, an alias as all that it stands for."""

    def __init__(self) -> None:
        self.values = 0
        # None while the list or mapping is still open.
        self._anchors: dict[str, int | None] = {}
        # For each open list or mapping: its anchor, and the count when it began.
        self._open: list[tuple[str | None, int]] = []

    @property
    def level(self) -> int:
        return len(self._open)

    def add(self, event: Any, line: int) -> None:  # noqa: ANN401  # of PyYAML's or libyaml's parser
        match event:
            case yaml.DocumentStartEvent():
                self._anchors = {}
            case yaml.CollectionStartEvent():
                self._open.append((event.anchor, self.values))
                self._remember(event.anchor, None)
                self.values += 1
            case yaml.CollectionEndEvent():
                anchor, began = self._open.pop()
                self._remember(anchor, self.values - began)
            case yaml.ScalarEvent():
                self.values += 1
                self._remember(event.anchor, 1)
            case yaml.AliasEvent():
                size = self._anchors.get(str(event.anchor), 1)
                if size is None:
                    raise RefusedError(f"`*{event.anchor}` in line {line} stands for itself")
                self.values += size

    def _remember(self, anchor: str | None, size: int | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = size


def _size(count: int) -> str:
    return f"{count // MIB} MiB" if count >= MIB else f"{count // 1024} KiB"
