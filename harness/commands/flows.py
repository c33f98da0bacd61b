"""The verb `flows`: the matrix of flows of a kept lab, or of a cluster that somebody deployed."""

from __future__ import annotations

from pathlib import Path

from harness.base.context import Context
from harness.base.errors import ExitCode
from harness.base.printing import say, show, show_json
from harness.base.process import LocalRunner
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.commands.consent import consent
from harness.engine.place import place
from harness.evidence.recorder import redacted_value
from harness.evidence.redaction import redact
from harness.probe import flows
from harness.probe.flows import FlowMatrix
from harness.report import flows as report
from harness.scenario.words import FlowOutcome, Role


def show_flows(
    settings: Settings,
    *,
    lab: str | None,
    k0sctl: Path | None,
    trust_ssh_options: bool = False,
    as_json: bool,
) -> ExitCode:
    """Print the matrix of one cluster; nothing is changed, and nothing is created.

    `trust_ssh_options` is the person's word for what the file would have ssh run or load here.
    Returns `NOT_MET` when a way does not work, `INFRASTRUCTURE` when not all that should could be
    measured.
    """
    clock = SystemClock()
    host = Context(LocalRunner(), clock, settings)
    agree = consent(given=trust_ssh_options)
    with place(host, lab, k0sctl, doing="Measuring the flows", say=say, agree=agree) as found:
        say(f"looking from {', '.join(found.remotes)} and from the API server")
        roles = {name: _role(word) for name, word in found.roles.items()}
        began = clock.monotonic()
        matrix = flows.parse(flows.measure(found.prober(clock), roles, pace=found.pace))
        say(f"{len(matrix.cells)} ways in {clock.monotonic() - began:.1f}s")
    if as_json:
        show_json(redacted_value(report.document(matrix)))
    else:
        show(redact(report.text(matrix)))
    return exit_code(matrix)


def exit_code(matrix: FlowMatrix) -> ExitCode:
    """Return how the verb ends: what does not work counts before what could not be seen."""
    if matrix.broken:
        return ExitCode.NOT_MET
    if matrix.unread or FlowOutcome.WORKS not in matrix.outcomes.values():
        return ExitCode.INFRASTRUCTURE
    return ExitCode.OK


def _role(word: str) -> Role:
    """Return the role in our words: k0sctl's `single` is a controller that is a worker as well."""
    known = {str(role): role for role in Role}
    return known.get(word, Role.CONTROLLER_WORKER)
