"""What several verbs are given: settings and scenarios."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from harness.base import shipped
from harness.base.settings import Settings
from harness.providers.registry import names
from harness.scenario.load import find, load_all
from harness.scenario.mistakes import Mistake, ScenarioError

SCENARIOS = Path("scenarios")
"""Where a reader has scenarios of their own."""
_SETTINGS = (
    *("provider", "keep", "runs_dir", "fresh", "reuse", "pause_on_failure", "jobs", "shard"),
    "allow_unpinned",
)


def settings_of(options: argparse.Namespace) -> Settings:
    """Return the settings of the environment and of the options that were given."""
    overrides = {name: getattr(options, name, None) for name in _SETTINGS}
    return Settings.from_environment(os.environ, overrides, providers=names())


def add_provider(verb: argparse.ArgumentParser) -> None:
    """Add `--provider`."""
    verb.add_argument("--provider", metavar="NAME", help="docker, libvirt or virtualbox")


def add_verbose(verb: argparse.ArgumentParser) -> None:
    """Add `--verbose`."""
    verb.add_argument(
        "-v", "--verbose", action="store_true", help="on a terminal, too, every line of a log"
    )


def scenario_files(names: Sequence[str]) -> list[Path]:
    """Return the files of the scenarios; raises one error with every mistake in all of them."""
    paths = [find(name, SCENARIOS, shipped.SCENARIOS) for name in names]
    mistakes: list[Mistake] = []
    for path in paths:
        try:
            load_all(path)
        except ScenarioError as error:
            mistakes += error.mistakes
    if mistakes:
        raise ScenarioError(mistakes)
    return paths
