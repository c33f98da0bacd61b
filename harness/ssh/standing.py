"""How a machine of somebody's own is stood on: what makes a command root's, and where k0s is.

As k0sctl finds it: who is root needs nothing, then `sudo` without a password, then `doas`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.base.completed import Completed

SUDO = ("sudo", "-n")
_BECOME = {"root": (), "sudo": SUDO, "doas": ("doas", "-n"), "none": SUDO}
# One command, so that a machine far away is asked once. What a login prints is not marked.
_SCRIPT = """\
if [ "$(id -u)" = 0 ]; then how=root
elif sudo -n -l >/dev/null 2>&1; then how=sudo
elif doas -n sh -c : >/dev/null 2>&1; then how=doas
else how=none; fi
for program in "$@" ""; do [ -x "$program" ] && break; done
echo "k0s-harness stands: $how:$program"
"""
_TOLD = re.compile(r"^k0s-harness stands: (root|sudo|doas|none):(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Standing:
    """`become` begins a command that is root's; `program` is the first that is there, if any.

    `is_root` is false where nothing of that is at hand: then what only root may read is not seen.
    """

    become: tuple[str, ...]
    is_root: bool
    program: str | None


class _Machine(Protocol):
    @property
    def name(self) -> str: ...

    def run(
        self, argv: Sequence[str], *, doing: str, deadline: float, check: bool
    ) -> Completed: ...


def standing_of(
    machine: _Machine, programs: Sequence[str], *, become: Sequence[str], deadline: float
) -> Standing:
    """Return how the machine is stood on; where its shell does not say, `become` is believed.

    Raises `InfrastructureError` where the machine cannot be reached.
    """
    doing = f"Reaching {machine.name}"
    completed = machine.run(
        ["sh", "-c", _SCRIPT, "sh", *programs], doing=doing, deadline=deadline, check=False
    )
    told = _TOLD.search(completed.stdout)
    if told is None:
        return Standing(tuple(become), is_root=True, program=None)
    how, program = told.groups()
    return Standing(_BECOME[how], how != "none", program or None)
