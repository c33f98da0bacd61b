"""Which scenarios are this host's where several share them, by `--shard`."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

from harness.base.errors import UsageError
from harness.base.settings import Settings
from harness.engine.session import UNKNOWN_SECONDS, plan_of
from harness.engine.shards import Shard
from harness.engine.shared_lab import start_state
from harness.report.catalogue import past_seconds
from harness.scenario.load import load_all


def add_shard(verb: argparse.ArgumentParser) -> None:
    """Add `--shard`."""
    verb.add_argument(
        "--shard", metavar="N/M", help="the Nth of M parts, a host each; merge joins their reports"
    )


def own_part(paths: Sequence[Path], settings: Settings, text: str | None) -> Sequence[Path]:
    """Return those of the scenario files that are this host's: all where `text` is None.

    What may share a lab stays together, by what the first scenario of a file begins with. Raises
    `UsageError` for a part that is none, or that nothing is left for.
    """
    if text is None:
        return paths
    shard = Shard.parse(text, "--shard")
    groups: dict[str, list[Path]] = {}
    seconds: dict[str, float] = {}
    for path in paths:
        loaded = load_all(path)
        key = start_state(plan_of(loaded[0], settings)).key
        group = hashlib.sha256(key.encode()).hexdigest()
        known = past_seconds(path.parent / "runs.json")
        groups.setdefault(group, []).append(path)
        took = sum(known.get(each.scenario.name, UNKNOWN_SECONDS) for each in loaded)
        seconds[group] = seconds.get(group, 0.0) + took
    taken = shard.takes(seconds)
    own = [path for path in paths if any(path in groups[group] for group in taken)]
    if not own:
        raise UsageError(
            f"Taking --shard {text}",
            f"nothing is left for it: there are {len(groups)} groups that cannot be parted",
            remedy=f"share them out to {len(groups)} hosts at most",
        )
    return own
