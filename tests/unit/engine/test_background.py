"""What runs beside the stream of a phase, in its own time."""

from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from harness.engine.background import DIAGNOSE_EVERY_SECONDS, Stage, diagnoses
from harness.engine.context import RunContext
from harness.vocabulary.words import Cause


class Here:
    """Does at once what it is given."""

    def submit(self, make):
        done = Future()
        done.set_result(make())
        return done


class Recorded:
    """Answers each round of looks with what a run recorded of them."""

    def __init__(self, readings):
        self.readings = {(each.probe, each.where): each for each in readings}

    def take(self, probes):
        wanted = [(each.name, each.where) for each in probes]
        return tuple(self.readings[each] for each in wanted if each in self.readings)


@pytest.mark.parametrize("pace", [1.0, 5.0])
def test_slow_machines_are_diagnosed_as_much_less_often(recording, pace):
    clock = [100.0]
    recorded = []
    stage = Stage(("controller0",), ("worker0", "worker1"), False, 0.0, 0.0)
    prober = Recorded(recording("konnectivity-off/broken"))
    time = SimpleNamespace(monotonic=lambda: clock[0])
    context = RunContext(prober, time, 0.0, None, recorded.append, None, pace)
    again = diagnoses(context, stage)

    def found():
        again.start_when_due(Here())
        return again.collect()

    made, _ = found()
    assert made.cause is Cause.NO_ROUTE_TO_SERVICE_NETWORK
    clock[0] += DIAGNOSE_EVERY_SECONDS * pace - 0.1
    assert found() is None
    clock[0] += 0.2
    assert found() is not None
    assert len(recorded) == 2
