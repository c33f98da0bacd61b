"""Which cluster is looked at: a kept lab, or that of a k0sctl.yaml."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.base.context import Context
from harness.base.printing import say
from harness.base.process import LocalRunner
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.cli.consent import consent
from harness.engine.access import ClusterAccess, access


@dataclass(frozen=True)
class Target:
    """Which cluster a person means: a kept lab, the only one where none is named, or a file's.

    `trust_ssh_options` is the person's word for what the file would have ssh run or load here.
    """

    lab: str | None = None
    k0sctl: Path | None = None
    trust_ssh_options: bool = False

    @classmethod
    def of(cls, options: argparse.Namespace) -> Target:
        """Return what the options of `add_target` name."""
        return cls(options.lab, options.k0sctl, options.trust_ssh_options)

    @contextmanager
    def reach(self, settings: Settings, *, doing: str) -> Iterator[ClusterAccess]:
        """Yield the way to the cluster; raises what `harness.engine.access.access` raises."""
        host = Context(LocalRunner(), SystemClock(), settings)
        agree = consent(given=self.trust_ssh_options)
        with access(host, self.lab, self.k0sctl, doing=doing, say=say, agree=agree) as found:
            yield found


def add_target(verb: argparse.ArgumentParser) -> None:
    """Add what says which cluster is looked at."""
    verb.add_argument("lab", nargs="?", metavar="LAB", help="a kept lab; default: the only one")
    verb.add_argument("--k0sctl", type=Path, metavar="FILE", help="the k0sctl.yaml of any cluster")
    verb.add_argument(
        "--trust-ssh-options",
        action="store_true",
        help="let its ssh options and configPath run programs on this machine",
    )
