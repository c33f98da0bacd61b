"""Scenario files as pytest tests, and fixtures of real clusters for free-form ones.

A YAML file is collected only when it is named on the command line and says `format:
k0s-harness/…`; so a bare `pytest` never starts a machine.

Every pytest session in this environment loads this module, and few of them run a cluster: what
runs one (`harness.pytest_scenarios`) is imported when the first scenario or marked test is met.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.base.errors import UsageError
from harness.pytest_session import (
    OPTIONS,
    SESSION,
    STATE,
    closing_lines,
    narration,
    sentence_alone,
    session_of,
    usage,
    write_page_of_all,
)

if TYPE_CHECKING:
    from testinfra.host import Host

    from harness.cluster.cluster import Cluster
    from harness.cluster.kubectl import Kubectl
    from harness.engine.run import ScenarioRun
    from harness.engine.session import Which
    from harness.lab.lab import Lab

_SCENARIOS = Path("scenarios")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the harness; each has an environment variable of its own as well."""
    group = parser.getgroup("k0s-harness", "real k0s clusters")
    group.addoption("--k0s-provider", help="Vagrant provider: docker, libvirt or virtualbox")
    group.addoption("--k0s-keep", help="keep the machines: never, failure or always")
    group.addoption("--k0s-fresh", help="1: machines of its own for each scenario")
    group.addoption("--k0s-reuse", help="1: begin on the lab that an earlier command left standing")
    group.addoption(
        "--k0s-pause-on-failure", help="1: wait for Enter where a phase failed, with the lab up"
    )
    group.addoption("--k0s-runs", help="folder of the runs' evidence and reports")
    group.addoption(
        "--k0s-verbose",
        action="store_true",
        help="on a terminal, too, every line of narration that a log has; so does -v",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings where one was given."""
    if any(config.getoption(option) for option in OPTIONS.values()):
        # Whoever names one means clusters, and is to hear of a mistake at once.
        session_of(config)
    if config.getoption("dist", "no") != "no" or _in_worker(config):
        from harness import pytest_jobs

        pytest_jobs.configure(config)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Keep in one process what may share machines: pytest-xdist goes by this mark."""
    state = _state_of(item) if _in_worker(item.config) else None
    if state is not None:
        item.add_marker(pytest.mark.xdist_group(session_of(item.config).group_of(state[0])))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Bring items of one scenario together, in the order of its phases, and find their runs.

    Raises `pytest.UsageError` where clusters would be shared between processes.
    """
    wanted = {item: state for item in items if (state := _state_of(item)) is not None}
    if not wanted:
        return
    from harness.base.process import interrupt_on_sigterm
    from harness.report.catalogue import past_seconds

    interrupt_on_sigterm()
    session, in_worker = session_of(config), _in_worker(config)
    order: tuple[Which, ...] = ()

    def place(item: pytest.Item) -> tuple[int, int]:
        if item not in wanted:
            return (-1, 0)
        which, phase = wanted[item]
        return (order.index(which), session.phase_index(which, phase))

    try:
        seconds = past_seconds(each[0].path.parent for each in wanted.values() if in_worker)
        order = session.in_order((which for which, _ in wanted.values()), seconds)
        items.sort(key=place)
    except UsageError as error:
        raise usage(error) from None


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a scenario file that was named on the command line."""
    if file_path.suffix not in {".yaml", ".yml"} or not parent.session.isinitpath(file_path):
        return None
    from harness.pytest_scenarios import scenario_file

    return scenario_file(file_path, parent)


# Last, so that a test's own fixtures still find the cluster when they clean up behind themselves.
@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Tear a scenario's machines down as soon as no item needs them any more."""
    state = _state_of(item)
    if state is None:
        return
    following = _state_of(nextitem) if nextitem is not None else None
    if following is None or following[0] != state[0]:
        with narration(item.config):
            session_of(item.config).finish(
                state[0], following=following[0] if following is not None else None
            )


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Tear down whatever is still up, also after an interrupt, and write the page of all runs."""
    runs = session.config.stash.get(SESSION, None)
    if runs is None:
        return
    with narration(session.config):
        if runs.alive:
            interrupted = exitstatus == pytest.ExitCode.INTERRUPTED
            runs.finish_all(KeyboardInterrupt() if interrupted else None)
        if not _in_worker(session.config):
            write_page_of_all(runs)


# Outermost, so that it comes after pytest's short summary, which cuts what there is to do off.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None]:
    """Say of each run what it came to, and what to do."""
    yield
    runs = config.stash.get(SESSION, None)
    if runs is not None:
        for line in closing_lines(runs, terminal=bool(terminalreporter.isatty)):
            terminalreporter.write_line(line)


@pytest.fixture
def _k0s_run(request: pytest.FixtureRequest) -> ScenarioRun:
    """The run of the scenario that the test's `k0s` marker names, in the phase it names."""
    state = _state_of(request.node)
    if state is None:
        raise pytest.UsageError(
            f"{request.node.nodeid} uses a cluster and says not which: mark it with "
            "@pytest.mark.k0s(scenario=..., phase=...)"
        )
    session = session_of(request.config)
    with narration(request.config), sentence_alone():
        session.enter(*state)
    return session.run_of(state[0])


@pytest.fixture
def lab(_k0s_run: ScenarioRun) -> Lab:
    """The machines of the marked scenario."""
    return _k0s_run.lab


@pytest.fixture
def cluster(_k0s_run: ScenarioRun) -> Cluster:
    """The k0s cluster of the marked scenario, in the marked phase."""
    return _k0s_run.cluster


@pytest.fixture
def kubectl(cluster: Cluster) -> Kubectl:
    """Run kubectl on that cluster: `kubectl("get", "nodes")` returns what it printed."""
    return cluster.kubectl


@pytest.fixture
def controller(lab: Lab) -> Host:
    """The controller as a testinfra host."""
    from harness.vocabulary.machines import CONTROLLER

    return _testinfra(lab)(CONTROLLER)


@pytest.fixture
def workers(lab: Lab) -> list[Host]:
    """The workers as testinfra hosts, in order."""
    return [_testinfra(lab)(name) for name in sorted(lab.machines) if name.startswith("worker")]


def _testinfra(lab: Lab) -> Callable[[str], Host]:
    import testinfra

    # Always OpenSSH: testinfra's paramiko backend checks no host keys.
    return lambda name: testinfra.get_host(f"ssh://{name}?ssh_config={lab.ssh_config}&sudo=true")


def _in_worker(config: pytest.Config) -> bool:
    """Whether this is one of several processes of pytest-xdist."""
    return hasattr(config, "workerinput")


def _state_of(item: pytest.Item) -> tuple[Which, str] | None:
    """Return scenario and phase that an item wants, None for one that wants no cluster."""
    if STATE not in item.stash:
        marker = item.get_closest_marker("k0s")
        item.stash[STATE] = None if marker is None else _marked(item, marker)
    return item.stash[STATE]


def _marked(item: pytest.Item, marker: pytest.Mark) -> tuple[Which, str]:
    from harness.base import shipped
    from harness.engine.session import Which
    from harness.scenario.load import find, load

    try:
        path = find(marker.kwargs["scenario"], item.config.rootpath / _SCENARIOS, shipped.SCENARIOS)
        loaded = load(path, marker.kwargs.get("variant", ""))
    except UsageError as error:
        raise usage(error) from None
    except KeyError:
        raise pytest.UsageError(f"{item.nodeid}: the k0s marker needs scenario=...") from None
    phase = marker.kwargs.get("phase") or loaded.scenario.phases[0].name
    return Which(path.resolve(), loaded.variant), phase
