"""The verb `schema`: the JSON Schema of a scenario."""

from __future__ import annotations

import argparse

from harness.base.errors import ExitCode
from harness.base.printing import show
from harness.scenario.schema import schema_text


def add_arguments(_verb: argparse.ArgumentParser) -> None:
    """Add nothing: there is one schema."""


def command(_options: argparse.Namespace) -> ExitCode:
    """Print the schema."""
    show(schema_text().removesuffix("\n"))
    return ExitCode.OK
