"""The verb `flows`: the matrix of flows of a kept lab, or of a cluster that somebody deployed."""

from __future__ import annotations

import argparse

from harness.base.errors import ExitCode
from harness.base.printing import say, show, show_json
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.cli.options import settings_of
from harness.cli.target import Target, add_target
from harness.evidence.recorder import redacted_value
from harness.evidence.redaction import redact
from harness.probe import flows
from harness.probe.flows import FlowMatrix
from harness.report import flows as report
from harness.vocabulary.words import FlowOutcome, Role


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    add_target(verb)
    verb.add_argument("--output", choices=("text", "json"), default="text", help="default: text")


def command(options: argparse.Namespace) -> ExitCode:
    """Print the matrix of the cluster that the options name."""
    return show_flows(settings_of(options), Target.of(options), as_json=options.output == "json")


def show_flows(settings: Settings, target: Target, *, as_json: bool = False) -> ExitCode:
    """Print the matrix of one cluster; nothing is changed, and nothing is created.

    Returns `NOT_MET` when a way does not work, `INFRASTRUCTURE` when not all that should could be
    measured.
    """
    clock = SystemClock()
    with target.reach(settings, doing="Measuring the flows") as found:
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
