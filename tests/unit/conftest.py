from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.evidence.reading import Reading

RECORDINGS = Path(__file__).parents[1] / "recordings"

Recording = Callable[[str], tuple[Reading, ...]]


@pytest.fixture
def recording() -> Recording:
    """Readings recorded from a real cluster; tests/recordings/README.md says from which."""

    def load(name: str) -> tuple[Reading, ...]:
        lines = (RECORDINGS / f"{name}.jsonl").read_text().splitlines()
        return tuple(Reading.from_dict(json.loads(line)) for line in lines)

    return load


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Any warning fails a unit test: a deprecated call, a file or socket that is left open."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            # First in the list, so that a test's own filter goes before it.
            item.add_marker(pytest.mark.filterwarnings("error"), append=False)
