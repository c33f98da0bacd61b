"""The verb `doctor`: what this host can do, what is missing, and how to get it."""

from __future__ import annotations

import argparse
import os

from harness.artifacts.commands import list_lines
from harness.artifacts.store import Store
from harness.base.errors import ExitCode
from harness.base.printing import say, show
from harness.base.process import LocalRunner
from harness.cli.options import add_provider, settings_of
from harness.preflight.report import describe, inspect_host


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    add_provider(verb)


def command(options: argparse.Namespace) -> ExitCode:
    """Print what the host has and lacks, and which release files are here."""
    settings = settings_of(options)
    report = inspect_host(LocalRunner(), settings, os.environ)
    show("\n".join(describe(report)))
    # After the rest: a cache that is not used because others may write to it ends the command.
    show("\n".join(list_lines(Store(settings, say=say))))
    return ExitCode.OK if report.ready else ExitCode.HOST_LACKS
