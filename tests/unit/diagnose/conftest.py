from __future__ import annotations

import pytest

from harness.probe import seen


@pytest.fixture
def read_once(monkeypatch):
    """Read each reading once: the walks of a mutation check differ in one."""
    observe = seen.observe
    known = {}

    def observe_once(parse, reading):
        key = (parse, id(reading))
        if key not in known:
            # The reading is kept, so that no other one gets its id.
            known[key] = (reading, observe(parse, reading))
        return known[key][1]

    monkeypatch.setattr(seen, "observe", observe_once)
