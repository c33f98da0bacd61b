"""What runs beside the stream of a phase, in its own time."""

from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from harness.diagnose import findings
from harness.diagnose.facts import facts_from
from harness.engine.background import DIAGNOSE_EVERY_SECONDS, Connections, Stage, diagnoses
from harness.engine.context import RunContext
from harness.vocabulary.words import Cause
from tests.unit.paths import RECORDINGS
from tests.unit.recorded import id_of, readings

HEALTHY = sorted((RECORDINGS / "diagnosis/healthy").glob("*.jsonl"))


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
        self.asked = []

    def take(self, probes):
        wanted = [(each.name, each.where) for each in probes]
        self.asked += wanted
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


@pytest.mark.parametrize("path", HEALTHY, ids=id_of)
def test_connections_are_opened_to_what_the_apiservice_leads_to(path):
    """As the diagnosis does: a chart's metrics-server is in another namespace, say."""
    facts = facts_from(readings(path))
    on = findings.konnectivity(facts)
    (address, port), (pod, pod_port, _) = findings.service_target(facts), findings.pod_target(facts)
    prober = Recorded(readings(path))
    controllers = tuple(
        dict.fromkeys(each.where for each in readings(path) if each.probe == "apiserver_flags")
    )
    stage = Stage(controllers, ("worker0", "worker1"), on, 0.0, 0.0)
    time = SimpleNamespace(monotonic=lambda: 100.0)
    context = RunContext(prober, time, 0.0, None, [].extend, None, 1.0)
    Connections(context, stage).start_when_due(Here())
    dialled = {name.removeprefix("dial:") for name, _ in prober.asked if name.startswith("dial:")}
    both = {f"{address}:{port}", f"{pod}:{pod_port}"}
    assert dialled == both if on else dialled and dialled < both
