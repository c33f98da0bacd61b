"""What the making of an image goes by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.base.completed import Completed
from harness.base.context import Context, Say
from harness.base.process import Runner
from harness.base.settings import Settings


@dataclass(frozen=True)
class Making:
    """Programs, settings and whom to tell; `log` gets the programs' output.

    `mark` lies in the environment of what is started, so that a killed run's is found.
    """

    context: Context
    log: Path | None = None
    mark: Mapping[str, str] = field(default_factory=dict)

    @property
    def runner(self) -> Runner:
        """What starts programs."""
        return self.context.runner

    @property
    def settings(self) -> Settings:
        """The user's settings."""
        return self.context.settings

    @property
    def say(self) -> Say:
        """Whom to tell."""
        return self.context.say

    def run(
        self, argv: Sequence[str], *, doing: str, deadline: float, env: Mapping[str, str]
    ) -> Completed:
        """Run what takes long: every line it prints is told."""
        return self.runner.run(
            argv,
            doing=doing,
            deadline=deadline,
            env={**self.mark, **env},
            log=self.log,
            on_line=self.say,
        )
