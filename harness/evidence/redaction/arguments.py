"""Secrets in argument lists whose option does not say so: `mysql -pX`, `curl -u user:X`.

What the short options of programs mean is one table. A list may stand in a unit, in the output of
`ps`, in a shell's history, in a manifest or in JSON: its words are parted by blanks, or quoted and
parted by commas, or items of a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.evidence.redaction.addresses import MARK
from harness.evidence.redaction.syntax import LOG_PREFIX, Span, bare_span, quoted_span
from harness.evidence.redaction.values import is_harmless, looks_random
from harness.evidence.redaction.vocabulary import any_of


@dataclass(frozen=True)
class _Program:
    """How one program takes secrets.

    `options` are followed by one, glued to it or as the next word; after one of `glued` the next
    word is something else unless it looks like a secret. `pairs` are followed by a user, `between`
    and a secret. After one of `words` that many words are no secrets, and the next is one. `needs`
    is a word without which all that means something else; with a word that `last` matches, the last
    word is one.
    """

    options: str = ""
    glued: str = ""
    pairs: str = ""
    between: str = ":"
    words: Mapping[str, int] = field(default_factory=dict)
    needs: str = ""
    last: str = ""


_LOGIN = _Program(options="-p", needs="login")
_TABLE: Mapping[str, _Program] = {
    "mysql mysqldump mysqlimport mysqlcheck mysqlslap mysqlshow mysqlbinlog mysqlpump mysqlsh"
    " mariadb mariadb-dump mariadb-check mariadb-import mariadb-backup mariabackup xtrabackup"
    " mycli": _Program(glued="-p"),
    "mysqladmin mariadb-admin": _Program(glued="-p", words={"password": 0}),
    "sshpass cqlsh ncftp ncftpput ncftpget ncftpls rdesktop psexec evil-winrm rabbitmqadmin useradd"
    " usermod twine smbmap hydra crackmapexec netexec nxc mongo mongosh mongodump mongorestore"
    " mongoexport mongoimport mongostat mongotop": _Program(options="-p"),
    "curl": _Program(pairs="-u --user -U --proxy-user", options="--pass --key-passwd"),
    "http https xh xhs": _Program(pairs="-a --auth"),
    "redis-cli valkey-cli keydb-cli redis-benchmark": _Program(options="-a --pass"),
    "ldapsearch ldapadd ldapmodify ldapdelete ldapwhoami ldapcompare ldapmodrdn ldapexop": _Program(
        options="-w"
    ),
    "ldappasswd": _Program(options="-w -s -a"),
    "smbclient smbget rpcclient winexe wmic smbcacls smbtree": _Program(
        pairs="-U --user", between="%"
    ),
    "lftp": _Program(pairs="-u --user", between=","),
    "docker podman nerdctl buildah skopeo helm oras crane regctl oc argocd az cosign": _LOGIN,
    "ctr": _Program(pairs="-u --user"),
    "etcdctl": _Program(pairs="--user", words={"add": 0}),
    "ipmitool ipmipower ipmi-sensors sqlcmd bcp osql mssql-cli mosquitto_pub mosquitto_sub"
    " mosquitto_rr zip unzip zipcloak": _Program(options="-P"),
    "snmpwalk snmpget snmpset snmpbulkwalk snmpbulkget snmpgetnext snmptrap snmpinform snmpstatus"
    " snmptable snmpdf snmptest snmpcheck": _Program(options="-c -A -X"),
    "rabbitmqctl": _Program(words={"add_user": 1, "change_password": 1, "authenticate_user": 1}),
    "htpasswd mosquitto_passwd": _Program(last=r"-\w*b\w*"),
    "mkpasswd": _Program(words={"-m": 1}),
    "openssl": _Program(options="-k -K", words={"-6": 0, "-5": 0, "-1": 0, "-apr1": 0}),
    "7z 7za 7zr 7zz": _Program(glued="-p"),
    "rar unrar": _Program(glued="-hp -p"),
    "xfreerdp xfreerdp3 wlfreerdp": _Program(options="/p:"),
    "vault": _Program(words={"login": 0, "unseal": 0}),
    "bw": _Program(words={"unlock": 0, "login": 1}),
    "virsh": _Program(words={"secret-set-value": 1}),
    "ssh-keygen": _Program(options="-N -P"),
    "wpa_passphrase": _Program(last=r".*"),
    "ngrok": _Program(words={"authtoken": 0, "add-authtoken": 0}),
    "ansible-vault": _Program(words={"encrypt_string": 0}),
    "sendEmail": _Program(options="-xp"),
    "rclone": _Program(words={"obscure": 0}),
    "cloudflared": _Program(words={"install": 0}, needs="service"),
    "mc mcli": _Program(words={"set": 3, "add": 3}),
    "kadmin kadmin.local": _Program(options="-w"),
    "pulumi": _Program(words={"--secret": 1}),
    "swift": _Program(options="-K"),
    "influx doctl": _Program(options="-t"),
    "grafana-cli": _Program(words={"reset-admin-password": 0}),
    "nmcli": _Program(words={"password": 0, "wifi-sec.psk": 0, "802-11-wireless-security.psk": 0}),
}
_PROGRAMS: Mapping[str, _Program] = {
    name: program for names, program in _TABLE.items() for name in names.split()
}
_NAME = re.compile(
    rf"(?<![\w.-]){any_of(_PROGRAMS)}"
    r"(?:\.exe)?(?=[ \t]|\\*[\"']?\s*,|\\+(?:[nt]|u0000|x00|0)|\x00|\r?\n)"
)
# What parts two words: blanks, also over the end of a shell's line; quotes and a comma; the next
# item of a list; the NUL of /proc/PID/cmdline.
_GAP = re.compile(
    r"(?:\\*[\"']?(?:[ \t]|\\\r?\n)*+,\s*+(?=\\*[\"'\w/-])"
    rf"|\\*[\"']?(?:\r?\n|\\+n)(?:{LOG_PREFIX})?[ \t]*+-[ \t]+"
    r"|(?:[ \t]|\\\r?\n)++(?:-[ \t]+)?+|\x00|\\+(?:u0000|x00|0))"
)
# What a quote may be glued to; elsewhere it closes a string that the whole command stands in.
_TAKES_QUOTE = re.compile(r"--?[A-Za-z]|[\w.-]{0,30}[:=,%]")
_COMMAND_END = re.compile(r"[ \t]*(?:[|;&]|\)(?=[\s\"';]|\Z)|\d?>)")
_LAST_NAME = re.compile(r"[\w.-]{1,40}\Z")
# Nobody types more; each program's words are looked at once.
_MOST_WORDS = 60
_LONGEST_WORD = 2000
# A token that is given in the place of a user and a password is longer than a user's name.
_LONGEST_USER = 20


@dataclass(frozen=True)
class _Word:
    """One argument without its quotes; where its bare beginning stands, and its quoted end."""

    text: str
    bare: Span
    quoted: Span | None

    @property
    def end(self) -> int:
        if self.quoted is None:
            return self.bare.end
        return self.quoted.end + self.quoted.depth + 1

    def span_from(self, skipped: int) -> Span:
        """Return where the text is behind its first `skipped` letters."""
        width = self.bare.end - self.bare.start
        if self.quoted is not None and skipped >= width:
            return Span(self.quoted.start + skipped - width, self.quoted.end)
        return Span(self.bare.start + skipped, self.end)


def redact_arguments(text: str) -> str:
    """Return `text` with the secrets among the arguments of known programs replaced."""
    pieces: list[str] = []
    position = looked = 0
    while (found := _NAME.search(text, looked)) is not None:
        looked = found.end()
        program = _PROGRAMS[found.group().removesuffix(".exe")]
        words = tuple(_words(text, found.end()))
        for span, mark in sorted(_secrets(program, words), key=lambda one: one[0].start):
            if span.start >= position and not is_harmless(span.of(text)):
                pieces += [text[position : span.start], mark]
                position = looked = span.end
    return "".join([*pieces, text[position:]])


def _words(text: str, position: int) -> Iterator[_Word]:
    others = 0
    for _ in range(_MOST_WORDS):
        gap = _GAP.match(text, position)
        if gap is None or _COMMAND_END.match(text, gap.end()):
            return
        word = _word(text, gap.end())
        if word is None:
            return
        yield word
        position = word.end
        # A user may be called as a program is; more of them are commands of their own.
        name = _LAST_NAME.search(word.text)
        others += name is not None and name.group() in _PROGRAMS
        if others > 1 or _COMMAND_END.match(text, position):
            return


def _word(text: str, start: int) -> _Word | None:
    bare = bare_span(text, start, _LONGEST_WORD, in_row=False)
    quoted = None
    if bare is None or _TAKES_QUOTE.fullmatch(bare.of(text)):
        quoted = quoted_span(text, start if bare is None else bare.end)
    if bare is None and quoted is None:
        return None
    bare = Span(start, start) if bare is None else bare
    return _Word(bare.of(text) + ("" if quoted is None else quoted.of(text)), bare, quoted)


def _secrets(program: _Program, words: Sequence[_Word]) -> Iterator[tuple[Span, str]]:
    """Yield where the secrets among a program's `words` are, and what takes their place."""
    if program.needs and all(word.text != program.needs for word in words):
        return
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else None
        for option in f"{program.options} {program.glued}".split():
            yield from _whole(option, word, following, only_glued=option in program.glued.split())
        for option in program.pairs.split():
            yield from _second_half(option, word, following, program.between)
        skipped = program.words.get(word.text)
        if skipped is not None and index + skipped + 1 < len(words):
            yield from _positional(words[index + skipped + 1])
    if program.last and any(re.fullmatch(program.last, word.text) for word in words[:-1]):
        yield from _positional(words[-1])


def _positional(word: _Word) -> Iterator[tuple[Span, str]]:
    if not word.text.startswith("-") and "=" not in word.text.rstrip("="):
        yield word.span_from(0), "[redacted: password]"


def _whole(
    option: str, word: _Word, following: _Word | None, *, only_glued: bool
) -> Iterator[tuple[Span, str]]:
    value = _after_option(option, word, following)
    if value is None:
        return
    holder, skipped = value
    is_next = holder is following
    if is_next and (_is_option(holder) or (only_glued and not looks_random(holder.text))):
        return
    yield holder.span_from(skipped), "[redacted: password]"


def _is_option(word: _Word) -> bool:
    """Return whether the next option stands where a secret might; one in quotes may begin so."""
    is_short = len(word.text) <= len("-x") or word.text.startswith("--")
    return word.text.startswith("-") and (word.quoted is None or is_short)


def _second_half(
    option: str, word: _Word, following: _Word | None, between: str
) -> Iterator[tuple[Span, str]]:
    value = _after_option(option, word, following)
    if value is None:
        return
    holder, skipped = value
    user, separator, secret = holder.text[skipped:].partition(between)
    if secret and secret != MARK:
        yield holder.span_from(skipped + len(user) + len(separator)), MARK
    elif len(user) > _LONGEST_USER and looks_random(user):
        yield holder.span_from(skipped), f"redacted-token{separator}"


def _after_option(option: str, word: _Word, following: _Word | None) -> tuple[_Word, int] | None:
    """Return the word that holds what `option` is followed by, and where in it that begins."""
    is_long = option.startswith("--")
    if word.text == option or (not is_long and _is_cluster(word.text, option)):
        return None if following is None else (following, 0)
    joined = f"{option}=" if is_long else option
    return (word, len(joined)) if word.text.startswith(joined) else None


def _is_cluster(word: str, option: str) -> bool:
    """Return whether `word` is several short options of which `option` is the last: -fsSu."""
    return (
        len(option) == len("-x")
        and re.fullmatch(rf"-[A-Za-z]{{1,6}}{option[-1]}", word) is not None
        and word[1] != option[-1]
    )
