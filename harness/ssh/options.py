"""The options of ssh_config(5) that a k0sctl.yaml may set, by what ssh does with their values.

It is a list of what is harmless (OpenSSH 9.2 and 10.0): whatever is not in it, with everything that
a later release brings, can run a program, load code, write a file, lend the user's keys or open a
way to this machine, as far as is known here.
"""

from __future__ import annotations

from enum import Enum, auto

# The harness's own values come first, and of an option that is given twice ssh takes the first.
OURS = frozenset(
    {
        "batchmode",
        "connecttimeout",
        "controlmaster",
        "controlpath",
        "controlpersist",
        "loglevel",
        "stricthostkeychecking",
        "updatehostkeys",
    }
)


class Kind(Enum):
    """What the value of an option is to ssh."""

    # It stays in ssh: an algorithm, a number, yes or no, a file that is read.
    TEXT = auto()
    # These come into commands of the user's own configuration, as %h, %k, %r, %p.
    ADDRESS = auto()
    USER = auto()
    PORT = auto()
    # ssh makes a command of it.
    JUMP = auto()
    RISK = auto()


_TEXTS = """
    addressfamily bindinterface casignaturealgorithms certificatefile checkhostip ciphers
    compression connectionattempts globalknownhostsfile gssapiauthentication hashknownhosts
    hostkeyalgorithms identitiesonly identityagent identityfile ipqos
    kbdinteractiveauthentication kexalgorithms macs numberofpasswordprompts
    passwordauthentication preferredauthentications pubkeyacceptedalgorithms
    pubkeyacceptedkeytypes pubkeyauthentication rekeylimit requiredrsasize serveralivecountmax
    serveraliveinterval tcpkeepalive userknownhostsfile
"""
_KINDS = {
    "hostname": Kind.ADDRESS,
    "hostkeyalias": Kind.ADDRESS,
    "bindaddress": Kind.ADDRESS,
    "user": Kind.USER,
    "port": Kind.PORT,
    "proxyjump": Kind.JUMP,
    **dict.fromkeys(
        (*OURS, *_TEXTS.split()),
        Kind.TEXT,
    ),
}


def kind_of(name: str) -> Kind:
    """Return what the option is to ssh, which reads its name in any case."""
    return _KINDS.get(name.lower(), Kind.RISK)
