"""The person's word for what a k0sctl.yaml would have ssh run or load on this machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from harness.base.printing import ask, say, stderr
from harness.ssh.arguments import Agree, Risk, refuse


def consent(*, given: bool) -> Agree:
    """Return what answers for risks: with `--trust-ssh-options` yes, else the person, if there.

    Without a terminal nobody is there, and the risks are refused.
    """

    def agree(risks: Sequence[Risk]) -> None:
        if given:
            return
        if not (sys.stdin.isatty() and stderr().isatty()):
            refuse(risks)
        say("These lines can run a program on this machine, load code into ssh, or let a host in:")
        for risk in risks:
            say(f"  {risk}")
        if not ask("Do you trust whoever wrote them?"):
            refuse(risks)

    return agree
