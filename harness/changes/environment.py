"""Environment variables for k0s on a machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field

from harness.changes.deployment import Deployment
from harness.changes.kind import DeploymentChange, OnMachine, Undo
from harness.vocabulary.fields import MachineName
from harness.vocabulary.kinds import Surroundings
from harness.vocabulary.machines import named
from harness.vocabulary.nearest import quoted
from harness.vocabulary.part import Found

# What Linux and systemd take as the name of an environment variable.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Environment(OnMachine, DeploymentChange):
    """Give k0s on a machine environment variables, as k0sctl's `environment` does."""

    kind: ClassVar[str] = "environment"
    undo: ClassVar[Undo] = "none"
    only_first: ClassVar[str] = (
        "k0sctl gives k0s its environment when it installs it: only the first phase can have "
        "`environment`"
    )
    body: ClassVar[str] = "{machine: MACHINE, variables: {HTTPS_PROXY: …}}"
    does: ClassVar[str] = "gives k0s there environment variables"

    machine: MachineName
    """Name of the machine, as in controller0; or `workers`, for all of them."""

    variables: Annotated[dict[str, str], Field(min_length=1)]
    """The variables, as in HTTPS_PROXY."""

    def describe(self) -> str:
        given = (f"{name}={value}" for name, value in self.variables.items())
        return f"give k0s on {self.machine} the environment {', '.join(given)}"

    def rules(self, around: Surroundings) -> tuple[Found, ...]:
        return (*super().rules(around), self._variables())

    def _variables(self) -> Found:
        for name, value in self.variables.items():
            if _NAME.fullmatch(name) is None:
                why = f"{quoted(name)} is not the name of an environment variable"
                yield ("variables", name), why
            elif not value.isprintable():
                why = f"the value of {quoted(name)} is not one line of plain text"
                yield ("variables", name), why

    def deployed(self, deployment: Deployment, workers: Sequence[str]) -> Deployment:
        environment = dict(deployment.environment)
        for name in named(self.machine, workers):
            environment[name] = {**environment.get(name, {}), **self.variables}
        return replace(deployment, environment=environment)
