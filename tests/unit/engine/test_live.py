"""When a new cluster is saved: once it has settled, and before anything is changed."""

from __future__ import annotations

import types

import pytest

from harness.base.settings import Settings
from harness.engine.live import LiveCluster
from harness.engine.session import plan_of
from harness.engine.settling import PreconditionsUnmetError
from harness.engine.steps import Steps
from harness.engine.timing import Timing
from harness.scenario.load import load
from harness.testing import FakeClock
from tests.unit.paths import SCENARIOS


class Cluster:
    """A cluster that has what was deployed last."""

    def __init__(self, log, deployed=None):
        self._log = log
        self.deployed = deployed
        self.kubectl = types.SimpleNamespace(run=lambda _: "ok")

    def apply(self, deployment, **_):
        self._log.append("apply")
        self.deployed = deployment


class Settles:
    """Waits for preconditions, in vain where it is to be."""

    def __init__(self, log, *, settles):
        self._log = log
        self._settles = settles

    def wait(self, what, _presumed):
        self._log.append(what)
        if not self._settles:
            raise PreconditionsUnmetError(what, ())


class Changes:
    """Remembers how everything was, and makes each change."""

    def __init__(self, log):
        self._log = log

    def remember(self, _phase):
        self._log.append("remember")

    def make(self, _phase, _change):
        self._log.append("change")
        return ""


@pytest.fixture
def live(tmp_path, monkeypatch):
    """The cluster of a scenario's first phase, whose nodes come, and what was done to it."""
    monkeypatch.setattr(LiveCluster, "_wait_for_nodes", lambda *_: None)

    def make(name, *, settles=True, deployed=False):
        plan = plan_of(load(SCENARIOS / name), Settings.from_environment({"HOME": str(tmp_path)}))
        log, clock = [], FakeClock()
        context = types.SimpleNamespace(
            steps=Steps(clock, lambda _: None), pace=1.0, clock=clock, now=lambda: 0.0
        )
        cluster = LiveCluster(
            context,
            plan,
            Cluster(log, plan.start if deployed else None),
            Changes(log),
            Settles(log, settles=settles),
            save=lambda: log.append("save"),
        )
        return lambda: cluster.bring_about(plan.phases[0], Timing(clock)), log

    return make


SETTLED = ["apply", "a settled cluster"]
# Its first phase changes nothing; another scenario's does; and one is about how k0sctl ends.
STARTS = "konnectivity-on.yaml"
CHANGES = "pod-not-scheduled.yaml"
REFUSED = "article-config-refused.yaml"


@pytest.mark.parametrize("name", [STARTS, CHANGES])
def test_a_new_cluster_is_saved_once_it_has_settled_and_before_any_change(live, name):
    bring_about, log = live(name)
    bring_about()
    assert log[:3] == [*SETTLED, "save"]
    assert log.count("save") == 1


def test_a_cluster_that_was_there_is_not_saved(live):
    bring_about, log = live(CHANGES, deployed=True)
    bring_about()
    assert "save" not in log


def test_a_scenario_that_needs_no_settled_cluster_goes_on_where_none_comes_and_saves_none(live):
    bring_about, log = live(STARTS, settles=False)
    bring_about()
    assert log == SETTLED


def test_a_change_that_is_compared_is_not_made_to_a_cluster_that_does_not_settle(live):
    bring_about, log = live(CHANGES, settles=False)
    with pytest.raises(PreconditionsUnmetError):
        bring_about()
    assert log == SETTLED


def test_a_cluster_whose_deployment_is_what_is_judged_is_not_saved(live):
    bring_about, log = live(REFUSED)
    bring_about()
    assert log == ["apply"]
