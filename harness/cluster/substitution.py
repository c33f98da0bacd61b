"""Environment variables in a k0sctl.yaml, put in as k0sctl does before it reads any YAML.

k0sctl hands the file to github.com/a8m/envsubst (v1.4.2 and v1.4.3 were compared), with everything
allowed: a variable that is not set is an empty text. What that makes of odd input, an expression
that is not closed or a `$` inside one, is what k0sctl then reads, so it is done the same way here.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from harness.base.untrusted import Limits, RefusedError


@dataclass(frozen=True)
class Unset:
    """A variable that the file uses, without a default, and that is not set here."""

    name: str
    line: int


@dataclass(frozen=True)
class Substituted:
    """The text with the variables put in, and what was nothing because it is not set."""

    text: str
    unset: tuple[Unset, ...]


class UnclosedError(ValueError):
    """A `${` without its `}` in the same line; `line` is where."""

    def __init__(self, line: int) -> None:
        self.line = line
        super().__init__("a `${` is not closed by `}` in its line")


def substitute(text: str, environ: Mapping[str, str], limits: Limits) -> Substituted:
    """Return `text` with the variables of `environ` put in.

    Raises `UnclosedError`, and `RefusedError` where the text grows over the limit.
    """
    made: list[str] = []
    unset: dict[str, Unset] = {}
    size = 0

    def value(name: str, at: int) -> str:
        if name and name not in environ:
            unset.setdefault(name, Unset(name, text.count("\n", 0, at) + 1))
        return environ.get(name, "") if name else ""

    tokens = _Tokens(text)
    for token in tokens:
        if token.kind is _Kind.VARIABLE:
            part = value(token.text.removeprefix("$"), token.at)
        elif token.kind is _Kind.OPEN and tokens.peek_is_variable():
            part = _expression(tokens, environ, value)
        else:
            part = token.text
        made.append(part)
        size += len(part)
        if size > limits.most_bytes:
            raise RefusedError(
                f"with the environment variables put in it has more than {limits.most_bytes}"
                f" characters, which {limits.what} never has"
            )
    return Substituted("".join(made), tuple(unset.values()))


class _Kind(Enum):
    TEXT = auto()
    VARIABLE = auto()
    OPEN = auto()
    CLOSE = auto()
    OPERATOR = auto()


@dataclass(frozen=True)
class _Token:
    kind: _Kind
    text: str
    at: int


# What a name stands for, and where it is used.
_Value = Callable[[str, int], str]
# A state yields the parts that it reads and returns the next one, None at the end.
_States = Generator[_Token, None, "_State | None"]
_State = Callable[[], _States]


def _expression(tokens: _Tokens, environ: Mapping[str, str], value: _Value) -> str:
    """Return what `${NAME…}` stands for; its `${` is taken already."""
    variable = next(tokens)
    operator = ""
    default: _Token | None = None
    for token in tokens:
        if token.kind is _Kind.CLOSE:
            break
        if token.kind is _Kind.VARIABLE:
            # Of several the last counts, and so does text behind one.
            default = token
        elif token.kind is _Kind.TEXT:
            default = _Token(_Kind.TEXT, token.text + tokens.text_to_close(), token.at)
        else:
            operator = token.text
    else:
        # envsubst waits without end for what closes it, and k0sctl with it.
        raise UnclosedError(tokens.line_of(variable.at))
    name = variable.text
    given = environ.get(name)
    if operator and default is not None:
        if operator in {"+", ":+"}:
            return _meant(default, value) if given is not None else ""
        if given is None or (not given and operator in {":-", ":="}):
            return _meant(default, value)
    if operator:
        return given or ""
    return value(name, variable.at)


def _meant(default: _Token, value: _Value) -> str:
    if default.kind is _Kind.VARIABLE:
        return value(default.text.removeprefix("$"), default.at)
    return default.text


class _Tokens(Iterator[_Token]):
    """The parts of the text, one after the other, as envsubst tells them apart."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._waiting: list[_Token] = []
        self._parts = self._scan()
        # Where the part that is being read begins, how far it was read, where the last one began.
        self._start = self._at = self._last = 0
        self._depth = 0

    def __next__(self) -> _Token:
        return self._waiting.pop() if self._waiting else next(self._parts)

    def line_of(self, at: int) -> int:
        return self._text.count("\n", 0, at) + 1

    def peek_is_variable(self) -> bool:
        if not self._waiting:
            token = next(self._parts, None)
            if token is None:
                return False
            self._waiting.append(token)
        return self._waiting[-1].kind is _Kind.VARIABLE

    def text_to_close(self) -> str:
        """Take all up to what closes the expression, as text."""
        parts = []
        for token in self:
            if token.kind is _Kind.CLOSE:
                self._waiting.append(token)
                break
            parts.append(token.text)
        return "".join(parts)

    def _take(self, kind: _Kind) -> _Token:
        token = _Token(kind, self._text[self._start : self._at], self._start)
        self._last, self._start = self._start, self._at
        return token

    def _next(self) -> str:
        found = self._text[self._at : self._at + 1]
        self._at += len(found)
        return found

    def _scan(self) -> Iterator[_Token]:
        state: _State | None = self._plain
        while state is not None:
            state = yield from state()

    def _plain(self) -> _States:
        """Read text up to a variable or an expression."""
        while True:
            dollar = self._text.find("$", self._at)
            if dollar < 0:
                self._at = len(self._text)
                break
            self._at = dollar
            follows = self._text[dollar + 1 : dollar + 2]
            if follows in {"$", "{"} or _in_name(follows):
                if dollar > self._start:
                    yield self._take(_Kind.TEXT)
                if follows == "$":
                    self._start, self._at = dollar + 1, dollar + 2
                    yield self._take(_Kind.TEXT)
                elif follows == "{":
                    self._at = dollar + 2
                    self._depth += 1
                    yield self._take(_Kind.OPEN)
                    return self._behind_name
                else:
                    self._at = dollar + 1
                    return self._name
            else:
                # envsubst parts the text before every `$`.
                if dollar > self._start:
                    yield self._take(_Kind.TEXT)
                self._at = dollar + 1
        if self._at > self._start:
            yield self._take(_Kind.TEXT)
        return None

    def _name(self) -> _States:
        """Read a name to its end; `_` alone is none."""
        while _in_name(self._text[self._at : self._at + 1]):
            self._at += 1
        if self._text[self._start : self._at] in {"_", "$_"}:
            return self._plain
        yield self._take(_Kind.VARIABLE)
        return self._behind_name if self._depth > 0 else self._plain

    def _behind_name(self) -> _States:
        """Read the operator of an expression, or the name that `${` begins."""
        found = self._next()
        if found == "}":
            return (yield from self._close())
        self._require_open(found)
        if _in_name(found) and self._begins_expression():
            return self._name
        if found in {"+", "-", "="} or (found == ":" and self._next() in {"-", "=", "+"}):
            yield self._take(_Kind.OPERATOR)
        return self._inside

    def _inside(self) -> _States:
        """Read the default of an expression, a character at a time."""
        while True:
            found = self._next()
            if found == "}":
                return (yield from self._close())
            self._require_open(found)
            if found == "$" or (_in_name(found) and self._begins_expression()):
                return self._name
            yield self._take(_Kind.TEXT)

    def _close(self) -> _States:
        self._depth -= 1
        yield self._take(_Kind.CLOSE)
        return self._plain

    def _begins_expression(self) -> bool:
        return self._text.startswith("${", self._last)

    def _require_open(self, found: str) -> None:
        if not found or found in "\r\n":
            raise UnclosedError(self.line_of(min(self._at, len(self._text)) - len(found)))


def _in_name(found: str) -> bool:
    """Return whether the character may stand in a name: Go's letters and digits, and `_`."""
    return bool(found) and (found == "_" or found.isalpha() or found.isdecimal())
