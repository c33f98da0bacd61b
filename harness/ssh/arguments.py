"""From words that somebody else wrote to OpenSSH's arguments: the one way there is.

A k0sctl.yaml comes from whoever wrote it, and what becomes of it is a command line: `ssh` takes
what begins with `-` for an option, hands host and user to commands of the user's own configuration,
and starts the programs that options name. So each word has a grammar, narrower than OpenSSH's own
(`valid_hostname` and `valid_ruser` of its ssh.c), and is refused with its place if it breaks it;
what could run or load something here is a `Risk` that wants the person's word first.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from harness.base.errors import UsageError
from harness.ssh.options import OURS, Kind, kind_of
from harness.vocabulary.nearest import quoted

# Longer than the dial of a machine on another continent, shorter than patience.
CONNECT_SECONDS = 10
# Nothing is asked, an unknown host key is an error, a host that is not there costs its bound, and
# the user's known_hosts is left as it is (ssh would add further keys of a host to it).
SETTINGS = (
    *("-o", "BatchMode=yes"),
    *("-o", "StrictHostKeyChecking=yes"),
    *("-o", f"ConnectTimeout={CONNECT_SECONDS}"),
    *("-o", "UpdateHostKeys=no"),
)
# One inside the other, each is quoted by the next: three times the quotes at every level.
MOST_BASTIONS = 8
# Linux takes no longer argument (MAX_ARG_STRLEN, 128 KiB); ssh adds `exec ` and fills in the host.
MOST_COMMAND = 120_000
# The longest that a host name may be (RFC 1035), a path (PATH_MAX), and what ends in either.
_MOST_NAME = 253
_MOST_WORD = 4096

_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_][A-Za-z0-9_-]*)*\.?")
_ZONE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_MOST_PORT = 65535
# As `authorized_keys` has them, without the comment: k0sctl compares these two words.
_HOST_KEY = re.compile(r"[a-z][a-z0-9.@-]{0,63} [A-Za-z0-9+/]{16,2000}={0,2}")
# What a shell or ssh would replace in a path, or may take for the end of a quoted word.
_REPLACED = frozenset("\"'`\\$%!")
_JUMP = re.compile(
    r"(?:(?P<user>[^@]*)@)?(?:\[(?P<bare>[^\]]*)\]|(?P<host>[^:]*))(?::(?P<port>[^:]*))?"
)


@dataclass(frozen=True)
class Word:
    """A word of a file that somebody else wrote: `key` names it, `place` is `file:line:column`."""

    text: str
    key: str
    place: str


@dataclass(frozen=True)
class Way:
    """How a k0sctl.yaml says that a host, or a bastion on the way to it, is reached by SSH.

    `user` is whom k0sctl takes where the file names nobody. `options` are of the kind `openSSH`
    alone, `bastion` and `host_key` of the kind `ssh`.
    """

    address: Word
    default_user: str = ""
    user: Word | None = None
    port: Word | None = None
    key_path: Word | None = None
    host_key: Word | None = None
    bastion: Way | None = None
    config_path: Word | None = None
    options: Sequence[tuple[Word, Word]] = field(default=())


@dataclass(frozen=True)
class Risk:
    """What can run a program here, load code into ssh or open this machine, and where it stands."""

    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


Agree = Callable[[Sequence[Risk]], None]
"""Returns where a person agrees to all the risks, and raises `UsageError` otherwise."""


@dataclass(frozen=True)
class Arguments:
    """What to give `ssh`: its options, then the destination; and what of it needs saying first."""

    options: tuple[str, ...]
    destination: str
    risks: tuple[Risk, ...] = ()
    notes: tuple[str, ...] = ()


def refused(word: Word, sentence: str, remedy: str | None = None) -> UsageError:
    """Return the error for `word`, which its place begins."""
    return UsageError(word.place, f"{quoted(word.key)} {sentence}", remedy=remedy)


def arguments_of(way: Way, known_hosts: str | None) -> Arguments:
    """Return what to give `ssh` for `way`, without the harness's own `SETTINGS`.

    `known_hosts` is the file that the user has named for all hosts. Raises `UsageError` for a word
    that is none.
    """
    options = ["-o", f"UserKnownHostsFile={known_hosts}"] if known_hosts else []
    risks: list[Risk] = []
    notes: list[str] = []
    if way.config_path is not None:
        options += ["-F", _config(way.config_path, risks)]
    if way.port is not None:
        options += ["-p", _port(way.port)]
    if way.key_path is not None:
        options += ["-i", _path(way.key_path)]
        # A server closes the connection after a handful of keys, which an agent may have alone.
        if all(name.text.lower() != "identitiesonly" for name, _ in way.options):
            options += ["-o", "IdentitiesOnly=yes"]
    if way.host_key is not None:
        # In place of a file that has it; %H is the name by which ssh looks it up. ssh runs this
        # without a shell, and the key has nothing that ssh would replace.
        options += ["-o", f"KnownHostsCommand=/bin/echo %H {_host_key(way.host_key)}"]
    if way.bastion is not None:
        through = arguments_of(way.bastion, known_hosts)
        options += ["-o", f"ProxyCommand={_proxy_command(way.bastion, through)}"]
        risks += through.risks
        notes += through.notes
    options += _named_options(way.options, risks, notes)
    return Arguments(tuple(options), _destination(way), tuple(risks), tuple(notes))


def _config(word: Word, risks: list[Risk]) -> str:
    """Return the configuration to give ssh; any but the user's own is added to `risks`."""
    path = _path(word)
    if path != os.path.expanduser("~/.ssh/config"):  # noqa: PTH111  # ssh's words, no Path
        what = f"configPath: {path!r} (its Match exec, ProxyCommand and the like)"
        risks.append(Risk(word.place, what))
    return path


def _named_options(
    given: Sequence[tuple[Word, Word]], risks: list[Risk], notes: list[str]
) -> list[str]:
    """Return what to give ssh of options by name; adds what must be said first to the others."""
    options = []
    for name, value in given:
        text = _option_value(name, value)
        if kind_of(name.text) is Kind.RISK:
            risks.append(Risk(name.place, f"{name.text}: {text!r}"))
        note = _not_taken(name, text)
        if note is not None:
            notes.append(note)
        elif name.text.lower() not in OURS:
            options += ["-o", f"{name.text}={text}"]
    return options


def remote_path(word: Word) -> str:
    """Return `word` where it is an absolute path on a host, in one line; raises `UsageError`."""
    _require_line(word)
    if not word.text.startswith("/"):
        raise refused(word, f"is no absolute path: {quoted(word.text)}")
    return word.text


def refuse(risks: Sequence[Risk]) -> None:
    """Raise `UsageError` with every risk: nobody was asked, or the answer was no."""
    raise UsageError(
        "Reading how the hosts are reached",
        "these lines can run a program on this machine, load code into ssh, or let a host in",
        details="\n".join(map(str, risks)),
        remedy="read them; if you trust whoever wrote them, add --trust-ssh-options",
    )


def _proxy_command(bastion: Way, through: Arguments) -> str:
    """Return the command by which ssh comes to the bastion, as the shell and ssh read it."""
    jump = ["ssh", *SETTINGS, *through.options]
    # Of the command ssh replaces %h and %p, and takes %% for a percent sign; the rest is a shell's.
    command = shlex.join([word.replace("%", "%%") for word in jump])
    command += f" -W '[%h]:%p' -- {shlex.quote(through.destination.replace('%', '%%'))}"
    if len(command) > MOST_COMMAND:
        raise refused(bastion.address, "is behind too many bastions for one command line")
    return command


def _destination(way: Way) -> str:
    address = _address(way.address)
    user = _user(way.user) if way.user is not None else way.default_user
    return f"{user}@{address}" if user else address


def _address(word: Word) -> str:
    """Return a host name, an IPv4 address, or an IPv6 address with its zone, without brackets."""
    _require_line(word)
    text = word.text
    if len(text) > _MOST_NAME or not (_HOST.fullmatch(text) or _is_ipv6(text)):
        raise refused(word, f"is no host name and no IP address: {quoted(text)}")
    return text


def _is_ipv6(text: str) -> bool:
    address, percent, zone = text.partition("%")
    try:
        IPv6Address(address)
    except ValueError:
        return False
    return not percent or _ZONE.fullmatch(zone) is not None


def _user(word: Word) -> str:
    _require_line(word)
    if len(word.text) > _MOST_NAME or not _USER.fullmatch(word.text):
        raise refused(
            word,
            f"is no name of a user: {quoted(word.text)}",
            "a name has letters, digits and . _ + -, and begins with a letter, a digit or _",
        )
    return word.text


def _port(word: Word) -> str:
    if _PORT.fullmatch(word.text) is None or int(word.text) > _MOST_PORT:
        raise refused(word, f"is no port from 1 to {_MOST_PORT}: {quoted(word.text)}")
    return word.text


def _host_key(word: Word) -> str:
    if _HOST_KEY.fullmatch(word.text) is None:
        raise refused(
            word,
            f"is no host key: {quoted(word.text)}",
            "write the two words of it as in known_hosts, such as `ssh-ed25519 AAAA…`",
        )
    return word.text


def _path(word: Word) -> str:
    """Return a path on this machine, `~` and `~/` as the user's home folder, as k0sctl does."""
    _require_line(word)
    text = word.text
    if _REPLACED & set(text):
        signs = " ".join(sorted(_REPLACED & set(text)))
        raise refused(word, f"has {signs}, which a shell or ssh would replace: {quoted(text)}")
    if text.startswith("~") and text != "~" and not text.startswith("~/"):
        raise refused(
            word,
            f"is of another user's home folder: {quoted(text)}",
            "write the whole path; k0sctl takes ~/ alone, too",
        )
    # The home folder is the user's own word, and Path raises where there is none.
    return os.path.expanduser(text)  # noqa: PTH111


def _option_value(name: Word, value: Word) -> str:
    """Return what `-o` gives the option; raises `UsageError` for what is no value of it."""
    if not (name.text.isascii() and name.text.isalnum()):
        raise refused(name, "is no option of ssh: a name has letters and digits")
    # After `name=` a `-` is no option: `-ssh-rsa` takes one algorithm out of a list.
    _require_line(value, dash=True)
    match kind_of(name.text):
        case Kind.ADDRESS:
            return _address(value)
        case Kind.USER:
            return _user(value)
        case Kind.PORT:
            return _port(value)
        case Kind.JUMP:
            return _jumps(value)
        case _:
            return value.text


def _jumps(word: Word) -> str:
    """Return the hosts of a ProxyJump: ssh makes a shell's command of them."""
    jumps = word.text.split(",")
    if len(jumps) > MOST_BASTIONS:
        raise refused(word, f"has more than {MOST_BASTIONS} hosts")
    for jump in jumps:
        found = _JUMP.fullmatch(jump)
        if found is None:
            raise refused(word, f"is no [user@]host[:port]: {quoted(jump)}")
        _address(Word(found["host"] or found["bare"] or "", word.key, word.place))
        if found["user"] is not None:
            _user(Word(found["user"], word.key, word.place))
        if found["port"] is not None:
            _port(Word(found["port"], word.key, word.place))
    return word.text


def _not_taken(name: Word, text: str) -> str | None:
    """Return what to say of an option that would leave host keys unchecked, None for the others."""
    checks = {"stricthostkeychecking": {"yes", "true", "ask"}}
    off = {"userknownhostsfile": {"/dev/null", "none"}}
    word = name.text.lower()
    if text.lower() not in off.get(word, ()) and (
        word not in checks or text.lower() in checks[word]
    ):
        return None
    return (
        f"{name.place}: {name.text}: {quoted(text)} is not taken over, host keys are always"
        " checked: have them in your known_hosts, or name a file of them in SSH_KNOWN_HOSTS"
    )


def _require_line(word: Word, *, dash: bool = False) -> None:
    """Raise `UsageError` unless `word` is one line of text that is no option."""
    text = word.text
    if not text:
        raise refused(word, "is empty")
    if len(text) > _MOST_WORD:
        raise refused(word, f"has more than {_MOST_WORD} characters: {quoted(text)}")
    if not text.isprintable():
        raise refused(word, f"has characters that are not printable: {quoted(text)}")
    if text.startswith("-") and not dash:
        raise refused(word, f"begins with `-`, which ssh takes for an option: {quoted(text)}")
