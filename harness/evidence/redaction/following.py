"""The value that follows a name with nothing but a blank between: options, directives, prose."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.evidence.redaction.named import Named
from harness.evidence.redaction.names import Test
from harness.evidence.redaction.syntax import Span, line_start, quoted_span
from harness.evidence.redaction.values import is_prose, looks_random, stands_out
from harness.evidence.redaction.vocabulary import words

_OPTION = re.compile(r"(?:(?<![\w-])|(?<=\\[nrt]))(?:--?|/)\Z")
# What gives a variable its value without any sign between them.
_SETTER = re.compile(r"\b(?:setenv|setx|config(?:ure)? set|set -g?x|ENV|ARG)\s+\S{0,60}\Z")
_DEFINE = re.compile(r"\b(?:define|set\w*|put|add\w*|env\w*)\(\s*\\*[\"']?\Z", re.IGNORECASE)
# Whose password: netrc, routing daemons, databases.
_WHOSE = re.compile(
    r"\b(?:login|user(?:name)?|neighbou?r|peer|account|encrypted|enable|with|isis|area|domain)"
    r"(?:\s+\S{1,80})?\s+\Z",
    re.IGNORECASE,
)
# These take a password wherever they stand, and are no words of prose.
_DIRECTIVES = words(
    "bindpw rootpw requirepass masterauth auth_pass masterpass olcrootpw wpa-psk ldappassword"
)
# These name a server that a request is passed to.
_OF_NGINX = re.compile(r"(?:proxy|fastcgi|uwsgi|scgi|grpc|memcached)_pass")
_IS = re.compile(
    r"(?:(?:for|of)[ ](?:[\w\"'.@-]{1,40}[ ])?[\w\"'.@-]{1,40})?"
    r"(?:[ ]?(?<=[ ])(?:is|was|to|set to|will be)[ ]?:?|:)[ ]",
    re.IGNORECASE,
)
# A token in quotes behind the word, where names of objects stand too.
_LONG = 20
_LAST = frozenset(["", "\n", "\r", ";", '"', "\\"])


def values_behind(named: Named) -> Iterator[Span]:
    """Yield the value that follows the name as the next argument or the next word."""
    text, start = named.text, named.value_start
    span = quoted_span(text, start) or named.bare(start)
    if span is None:
        return
    if named.accepts(span.of(text)) and _is_its_value(named, span):
        yield span
    elif (told := _told(named)) is not None:
        yield told


def _is_its_value(named: Named, span: Span) -> bool:
    """Return whether the word at `span` is the value of the name before it, not just behind it."""
    before = named.before
    if named.joint.group("close") and "," not in named.joint.group("next") and not span.quote:
        # The quote closes the string that the name is the end of.
        return False
    if _OPTION.search(before) or _SETTER.search(before):
        return True
    if named.joint.group("close") or "," in named.joint.group("next"):
        # define('DB_PASSWORD', '…'), and not two neighbours in a list of words.
        return _DEFINE.search(before) is not None
    if named.meaning.kind == "password" and _WHOSE.search(before):
        return True
    return named.name.lower() in _DIRECTIVES or _is_a_setting(named, span) or _stands(named, span)


def _is_a_setting(named: Named, span: Span) -> bool:
    """Return whether the name and its value are a line of a configuration: `auth_pass …`."""
    return (
        not span.quote
        and (named.meaning.test is Test.ANY or "_" in named.name)
        and named.text[span.end : span.end + 1] in _LAST
        and line_start(named.text, named.start) is not None
        and _OF_NGINX.fullmatch(named.name) is None
    )


def _stands(named: Named, span: Span) -> bool:
    """Return whether the word would be no word of prose in this place."""
    value = span.of(named.text).strip(".:,;=")
    is_password = named.meaning.test is Test.ANY
    if span.quote:
        return is_password or (len(value) >= _LONG and looks_random(value))
    if named.joint.group("next").startswith("  "):
        # One blank joins words of prose; tables have more.
        return False
    is_numbered = is_password and any(letter.isdigit() for letter in value)
    return looks_random(value) or (is_numbered and stands_out(value))


def _told(named: Named) -> Span | None:
    """Return the secret of "the password is …", None where no such thing is said."""
    told = _IS.match(named.text, named.value_start)
    if told is None:
        return None
    span = quoted_span(named.text, told.end()) or named.bare(told.end())
    if span is None or is_prose(span.of(named.text)) or not named.accepts(span.of(named.text)):
        return None
    value = span.of(named.text)
    is_certain = span.quote or stands_out(value)
    # Managers of passwords join words with more than one dash.
    return span if is_certain or (named.meaning.kind == "password" and "-" in value) else None
