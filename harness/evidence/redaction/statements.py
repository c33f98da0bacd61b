"""Secrets in commands and statements that are told by their wording, not by a name or an option.

What is piped into a program that reads a password, SQL, what a router is configured with, a
conversation with a mail server.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from harness.evidence.redaction.values import is_harmless, is_prose, looks_random

_READER = (
    r"(?:--pass(?:word|phrase)-(?:stdin|fd)|--stdin\b|chpasswd|smbpasswd|vncpasswd|\bpasswd\b|cryptsetup"
    r"|sudo\s+(?:-\w+\s+)*-\w*S|--with-token|--token-stdin|\bsecret\s+create|\bpass\s+insert"
    r"|htpasswd\s+-\w*i|\bkinit\b|rclone\s+obscure|openssl\s+passwd)"
)
_WORD = (
    r"(?:\\*\"(?P<double>[^\"\\\n]+)\\*\"|\\*'(?P<single>[^'\\\n]+)\\*'|(?P<bare>[^\s|\"'\\<>]+))"
)


@dataclass(frozen=True)
class _Statement:
    # One of these, in lower case, is in every statement of the kind.
    signs: tuple[str, ...]
    pattern: re.Pattern[str]
    # Whether the wording may be that of something else, so that the value has to bear it out.
    only_random: bool = False


def _statement(signs: str, pattern: str, *, only_random: bool = False) -> _Statement:
    return _Statement(
        tuple(signs.split(",")),
        re.compile(pattern, re.IGNORECASE | re.VERBOSE | re.MULTILINE),
        only_random,
    )


_STATEMENTS = (
    _statement(
        "echo ,printf ",
        rf"\b(?:echo|printf)[ ]+(?:-[neE]+[ ]+|\\*[\"']?%s(?:\\+n)?\\*[\"']?[ ]+)*{_WORD}[ ]*\|"
        rf"(?=[^\n]{{0,200}}?{_READER})",
    ),
    _statement(
        "echo ,printf ",
        rf"\b(?:echo|printf)[ ]+(?:-[neE]+[ ]+)*{_WORD}[ ]*\|(?=[ ]*(?:base64|md5sum|sha\d+sum)\b)",
        only_random=True,
    ),
    _statement("<<<", rf"{_READER}[^<\n|]{{0,80}}<<<[ ]*{_WORD}"),
    _statement("send ", r"\bsend[ ]+(?:--?[ ]+)?\\*\"(?P<double>[^\"\\\n]{3,})\\+[rn]\\*\""),
    _statement(
        "identified ",
        rf"\bidentified[ ]+(?:with[ ]+\S+[ ]+)?(?:by|as)[ ]+(?:password[ ]+|values[ ]+)?{_WORD}",
    ),
    _statement("password(", rf"\bpassword\([ ]*{_WORD}[ ]*\)"),
    _statement(
        "securestring,pscredential,networkcredential",
        r"(?:ConvertTo-SecureString[ ]+(?:-String[ ]+)?|Credential\([^,()\n]{1,80},[ ]*)"
        r"(?:\\*\"(?P<double>[^\"\\\n]+)|'(?P<single>[^'\n]+))",
    ),
    _statement(
        "--from-literal", rf"--from-literal(?:=|[ ]+|\\*[\"'],[ ]*\\*[\"'])\\*[\"']?[\w.-]+={_WORD}"
    ),
    # Routers, switches, SNMP's daemon, and the answers to their prompts.
    _statement(
        "-key ,key-string,server key,auth key,enable secret,username ,community,com2sec,trapsink"
        ",trap2sink, md5",
        r"(?:\b(?:authentication-key|key-string|message-digest-key[ ]+\d+[ ]+md5"
        r"|snmp-server[ ]+community|enable[ ]+secret|(?:tacacs|radius)-server[ ]+key"
        r"|username[ ]+\S+[ ]+secret|r[ow]community6?|com2sec6?[ ]+\S+[ ]+\S+|trap2?sink[ ]+\S+"
        rf"|tcp[ ]+md5|auth(?:entication)?[ ]+md5|auth[ ]+key)[ ]+(?:[05789][ ]+)?){_WORD}",
    ),
    _statement(
        "createuser", rf"\bcreateuser[ ]+(?:-e[ ]+\S+[ ]+)?\S+[ ]+(?:MD5|SHA\S*)[ ]+{_WORD}"
    ),
    _statement("createuser", rf"\bcreateuser[ ][^\n]{{1,200}}?[ ](?:AES|DES)\S*[ ]+{_WORD}"),
    _statement("addauth", rf"\baddauth[ ]+\w+[ ]+{_WORD}"),
    _statement(
        "-command,<(",
        r"(?:-command[=\s]+\\*[\"']?|(?:key|pass|secret|token)[\w-]*[=\s]+<\([ ]*)"
        rf"(?:echo|printf)[ ]+(?:-n[ ]+)?{_WORD}",
    ),
    # What a client says to a server of files or mail.
    _statement("pass ", rf"(?:[<>]{{1,3}}|\bC:|-->|\bcommand:)[ ]*PASS[ ]+{_WORD}"),
    _statement("login ", rf"(?:[<>]{{1,3}}|\bC:|-->)[ ]*\w+[ ]+LOGIN[ ]+\S+[ ]+{_WORD}"),
    _statement(
        '"auth",auth\\"',
        r"\\*\"AUTH\\*\"[ ,]+(?:\\*\"[^\"\\]+\\*\"[ ,]+)?\\*\"(?P<double>[^\"\\]+)\\*\"",
    ),
    _statement("net use,/user:", rf"\bnet[ ]+use[ ][^\n|;]{{0,120}}?/user:\S+[ ]+(?!/){_WORD}"),
    _statement(
        "net use,/user:", rf"\bnet[ ]+use[ ]+(?:\w:[ ]+)?\\\\\S+[ ]+(?!/){_WORD}(?=[ ]+/user:)"
    ),
    # A stanza of netrc in one line, the password of a PPP daemon, a key of chrony or NTP.
    _statement("chap,pap", r"^[ \t]*\\*\"?[\w.@-]+\\*\"?[ \t]+\*[ \t]+\"(?P<double>[^\"\n]+)\""),
    _statement(
        " md5 , sha1 ",
        r"^\d{1,5}[ \t]+(?:MD5|M|SHA1|SHA256|SHA512)[ \t]+(?:ASCII:|HEX:)?(?P<bare>\S{6,})$",
    ),
)


def redact_statements(text: str) -> str:
    """Return `text` with the secrets of statements that are known replaced."""
    lowered = text.lower()
    for statement in _STATEMENTS:
        # Not `any` of a generator: most of what redaction takes is this search.
        for sign in statement.signs:
            if sign in lowered:
                text = statement.pattern.sub(functools.partial(_replaced, statement), text)
                break
    return text


def _replaced(statement: _Statement, found: re.Match[str]) -> str:
    group = found.lastgroup
    if group is None:
        return found.group()
    value = found.group(group)
    if is_harmless(value) or is_prose(value) or (statement.only_random and not looks_random(value)):
        return found.group()
    start, end = (place - found.start() for place in found.span(group))
    whole = found.group()
    return f"{whole[:start]}[redacted: password]{whole[end:]}"
