from __future__ import annotations

import pytest

from harness.probe import seen

_OBSERVED: dict[object, object] = {}


@pytest.fixture(autouse=True)
def read_once(monkeypatch):
    """Read each reading once in a session: the walks of a mutation check differ in one."""
    observe = seen.observe

    def observe_once(parse, reading):
        key = (parse, id(reading))
        if key not in _OBSERVED:
            # The reading is kept, so that no other one gets its id.
            _OBSERVED[key] = (reading, observe(parse, reading))
        return _OBSERVED[key][1]

    monkeypatch.setattr(seen, "observe", observe_once)
