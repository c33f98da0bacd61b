"""A name that means a secret, where it stands in a text, and what joins a value to it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.evidence.redaction.names import Meaning, Test, meaning_of
from harness.evidence.redaction.syntax import LOG_PREFIX, Span, bare_span
from harness.evidence.redaction.values import LONGEST_HARMLESS, is_secret
from harness.evidence.redaction.vocabulary import words

_IN_NAMES = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
_END_OF_NAME = re.compile(r"[\w.-]{0,80}")
_LONGEST_NAME = 80
# A word before a name of two: private key, seed phrase, pre-shared key; and a number behind it.
_WORD_BEFORE = re.compile(r"(?:(?<=[^\w.-])|\A)[\w-]{2,24}(?: de)? \Z")
_SPACED = words("key keys phrase words code codes passe community string auth id")
_NUMBERED = re.compile(r" \d{1,2}(?=:)")
_JOINT = re.compile(
    r"""
    (?P<close>\\*+["']|%22|&quot;|&\#34;)?+(?:(?<=["'])\])?+
    (?:
      # {"name": "DB_PASSWORD", "value": "…"}, as in a pod's environment, and the same in XML
      (?P<pair>
        (?:,|\s|\\++[nr])++(?:LOG_PREFIX\s*+)?+
        (?:(?P<quote>\\*+["']))?+[Vv]alue(?P=quote)?+\s*+[:=]\s*+
      )
    | (?P<assign>
        [ \t]*+(?:\.{2,}[ \t]*+)?+(?:\[\w*\])?+(?:=>|->|[:?+]?=|={2,3}|:)
        | (?:%20|\+)?(?:%3[aAdD])(?:%20|\+)?(?:%22)? | \\++u003[adAD] | &\#(?:61|58);
      )
      # blanks, a colour, a quote of HTML
      (?(close)\s*+|[ \t]*+)(?:(?:\x1b|\\++(?:u001b|x1b|033))\[[\d;]*+m[ \t]*+)*+(?:&quot;|&\#34;)?+
      # Go's types, a refusal of Kubernetes, and what YAML has in front of a value
      (?:\(\w+\)[ ](?:\(len=\d+\)[ ])?|Invalid[ ]value:[ ]|(?:[|>][+-]?|-|[!&][\w!]++)[ ](?=\S))?+
    | (?P<element>(?:\s[^<>\n]{0,80}+)?/?>(?:<(?:value|string)>)?+(?:<!\[CDATA\[)?+)(?=[^<\s])
      # ["--token", "…"] and --token …, also on the next line of a shell; a router says how the
      # value is written with one digit
    | (?P<next>[ \t]*+,\s*+|(?:[ \t]|\\++t)++(?:\\\r?\n[ \t]*+|[05789][ ](?=\S{4}))?+)
    )
    """.replace("LOG_PREFIX", LOG_PREFIX),
    re.VERBOSE,
)
_LOOK_BACK = 100
# A value that long is no name, no path and no prose: it is taken whole.
UNBOUNDED = 1 << 60


@dataclass(frozen=True)
class Named:
    """A name that means a secret, where it stands in `text`, and what joins a value to it."""

    text: str
    start: int
    name: str
    meaning: Meaning
    joint: re.Match[str]

    @property
    def mark(self) -> str:
        """What takes the place of the value."""
        return f"[redacted: {self.meaning.kind}]"

    @property
    def before(self) -> str:
        """Some of the text in front of the name."""
        return self.text[max(0, self.start - _LOOK_BACK) : self.start]

    @property
    def value_start(self) -> int:
        """Where the value starts, or the quote in front of it."""
        return self.joint.end()

    @property
    def assign(self) -> str:
        """The sign that assigns the value, empty where none does."""
        return (self.joint.group("assign") or "").strip()

    def accepts(self, value: str) -> bool:
        """Return whether `value`, assigned to the name, is the secret that it speaks of."""
        return is_secret(value, self.meaning)

    def bare(self, start: int) -> Span | None:
        """Return the value without quotes at `start`, None for none.

        A long one is one only of a name that takes any value: what has to look like a secret is
        short, and is not looked at again and again.
        """
        span = bare_span(self.text, start, LONGEST_HARMLESS)
        if span is None and self.meaning.test in {Test.ANY, Test.ASSIGNED}:
            span = bare_span(self.text, start, UNBOUNDED)
        return span


def end_of_name(text: str, position: int) -> int:
    """Return where the name ends that goes on at `position`."""
    found = _END_OF_NAME.match(text, position)
    return position if found is None else found.end()


def start_of_name(text: str, position: int) -> int:
    """Return where the name starts that goes on at `position`: not inside an escape before it."""
    before = text[max(0, position - _LONGEST_NAME) : position]
    start = position - len(before) + len(before.rstrip(_IN_NAMES))
    previous = text[start - 1 : start]
    if previous == "\\" and start < position:
        return start + (5 if text.startswith("u00", start) else 1)
    if previous == "%" and text[start : start + 2].upper() in {"22", "26", "20"}:
        return start + 2
    return start


def named_at(text: str, start: int, end: int) -> Named | None:
    """Return the name between `start` and `end`, None where it means no secret or has no value."""
    start += len(text[start:end]) - len(text[start:end].lstrip("-"))
    name = text[start:end].rstrip(".-")
    end = start + len(name)
    meaning = meaning_of(name)
    if name.lower().rstrip("0123456789") in _SPACED:
        before = _WORD_BEFORE.search(text, max(0, start - _LOOK_BACK), start)
        spaced = meaning_of(before.group() + name) if before is not None else meaning
        # Any word may stand before "key" in prose; only those that are known make it a secret.
        if spaced is None or spaced.test is not Test.RANDOM:
            meaning = spaced
            numbered = _NUMBERED.match(text, end)
            end = end if numbered is None else numbered.end()
    if meaning is None:
        return None
    joint = _JOINT.match(text, end)
    return None if joint is None else Named(text, start, name, meaning, joint)
