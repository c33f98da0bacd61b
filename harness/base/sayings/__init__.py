"""What wrapped programs say when they fail, what was wrong then and what to do: one table.

Of more rows that fit, the first one counts, so what is closer to the cause stands further up. Where
none fits, `harness.base.telling` picks the program's own words. Pure: text in, sentences out.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from harness.base.sayings import cluster, machines, ssh
from harness.base.sayings.row import Of
from harness.base.telling import plain_lines

# ssh's own status for everything that is not the remote command's.
_SSH_FAILED = 255

_TABLE = tuple(
    (row, re.compile(row.words, re.MULTILINE), re.compile(row.also, re.MULTILINE))
    for row in (*ssh.ROWS, *machines.ROWS, *cluster.ROWS)
)
# A program repeats what those that it starts have said.
_MACHINES = (Of.DOCKER, Of.LIBVIRT, Of.VIRTUALBOX, Of.VAGRANT, Of.SSH)
_HEARD = {
    "docker": (Of.DOCKER, Of.SSH),
    "kubectl": (Of.KUBECTL, Of.SUDO),
    "vagrant": _MACHINES,
    "vboxmanage": (Of.VIRTUALBOX,),
    "virsh": (Of.LIBVIRT, Of.SSH),
}


@dataclass(frozen=True)
class Told:
    """What a program's words come to: what was wrong, and what to do."""

    happened: str
    remedy: str


def told(text: str, *of: Of) -> Told | None:
    """Return what `text` comes to, as words of these programs; None where no kind is known."""
    text = "\n".join(plain_lines(text))
    if Of.K0SCTL in of:
        keys = cluster.unknown_keys(text)
        if keys is not None:
            return Told(*keys)
    for row, words, also in _TABLE:
        found = words.search(text) if row.of in of else None
        other = also.search(text) if found is not None else None
        if found is not None and other is not None:
            groups = {
                name: (value or "").strip()
                for name, value in (found.groupdict() | other.groupdict()).items()
            }
            groups |= {f"{name}_": shlex.quote(value) for name, value in groups.items()}
            happened = row.happened.format_map(groups).strip()
            return Told(happened, row.remedy.format_map(groups))
    return None


def told_by(argv: Sequence[str], status: int, text: str) -> Told | None:
    """Return what a program that ended with `status` has told in `text`, None if unknown."""
    return told(text, *_heard(argv, status))


def _heard(argv: Sequence[str], status: int) -> tuple[Of, ...]:
    """Return whose words may be in what the program printed."""
    words = list(argv)
    if words[:1] in (["sudo"], ["doas"]):
        words = [word for word in words[1:] if not word.startswith("-")]
    name = PurePath(words[0]).name.lower() if words else ""
    if name in {"ssh", "scp", "sftp"}:
        return (Of.SSH,) if status == _SSH_FAILED else (Of.SUDO,)
    if name == "k0s" and words[1:2] == ["kubectl"]:
        name = "kubectl"
    if name.startswith("k0sctl"):
        return (Of.K0SCTL, Of.SSH, Of.SUDO)
    return _HEARD.get(name.removesuffix(".exe"), (Of.SUDO,))
