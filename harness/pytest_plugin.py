"""Scenario files as pytest tests, and fixtures of real clusters for free-form ones.

A YAML file is collected only when it is named on the command line and says `format:
k0s-harness/…`; so a bare `pytest` never starts a machine. One item is one expectation of one
phase; entering the phase is the item's set-up, so what could not be judged is an error and not a
failure.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from harness.base.errors import HarnessError, UsageError
from harness.base.printable import printable
from harness.base.process import interrupt_on_sigterm
from harness.base.settings import Settings
from harness.check.model import Verdict
from harness.engine.session import RunSession, Which
from harness.providers.registry import names
from harness.report.files import write_reports
from harness.report.terminal import Narrator
from harness.scenario.load import LoadedScenario, find, is_scenario, load, load_all

if TYPE_CHECKING:
    # testinfra costs 50 ms and paramiko 150; a session without clusters pays for neither.
    from testinfra.host import Host

    from harness.cluster.cluster import Cluster
    from harness.cluster.kubectl import Kubectl
    from harness.engine.events import ExpectationResult
    from harness.engine.run import ScenarioRun
    from harness.lab.lab import Lab

SESSION = pytest.StashKey[RunSession]()
"""Where the session's runs are, in `config.stash`; the command line reads their results there."""

_SCENARIOS = Path("scenarios")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the harness; each has an environment variable of its own as well."""
    group = parser.getgroup("k0s-harness", "real k0s clusters")
    group.addoption("--k0s-provider", help="Vagrant provider: docker, libvirt or virtualbox")
    group.addoption("--k0s-keep", help="keep the machines: never, failure or always")
    group.addoption("--k0s-fresh", help="1: machines of its own for each scenario")
    group.addoption("--k0s-runs", help="folder of the runs' evidence and reports")


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings, and refuse to share clusters between processes."""
    overrides = {
        "provider": config.getoption("--k0s-provider"),
        "keep": config.getoption("--k0s-keep"),
        "runs_dir": config.getoption("--k0s-runs"),
        "fresh": config.getoption("--k0s-fresh"),
    }
    try:
        settings = Settings.from_environment(os.environ, overrides, providers=names())
    except UsageError as error:
        raise _usage(error) from None
    config.stash[SESSION] = RunSession(settings, emit=Narrator(), on_result=write_reports)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Bring items of one scenario together, in the order of its phases, and find their runs."""
    wanted = {item: state for item in items if (state := _state_of(item)) is not None}
    if not wanted:
        return
    if config.pluginmanager.hasplugin("dsession"):
        raise pytest.UsageError(
            "clusters cannot be shared between the processes of pytest-xdist; run without -n"
        )
    interrupt_on_sigterm()
    session = config.stash[SESSION]
    order: tuple[Which, ...] = ()

    def place(item: pytest.Item) -> tuple[int, int]:
        if item not in wanted:
            return (-1, 0)
        which, phase = wanted[item]
        return (order.index(which), session.phase_index(which, phase))

    try:
        order = session.in_order(which for which, _ in wanted.values())
        items.sort(key=place)
    except UsageError as error:
        raise _usage(error) from None


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a scenario file that was named on the command line."""
    named = parent.session.isinitpath(file_path)
    if named and file_path.suffix in {".yaml", ".yml"} and is_scenario(file_path):
        collector: pytest.Collector = ScenarioFile.from_parent(parent, path=file_path)
        return collector
    return None


# Last, so that a test's own fixtures still find the cluster when they clean up behind themselves.
@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Tear a scenario's machines down as soon as no item needs them any more."""
    state = _state_of(item)
    if state is None:
        return
    following = _state_of(nextitem) if nextitem is not None else None
    if following is None or following[0] != state[0]:
        with _narration(item.config):
            item.config.stash[SESSION].finish(
                state[0], following=following[0] if following is not None else None
            )


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Tear down whatever is still up, also after an interrupt."""
    runs = session.config.stash.get(SESSION, None)
    if runs is not None and runs.alive:
        interrupted = exitstatus == pytest.ExitCode.INTERRUPTED
        with _narration(session.config):
            runs.finish_all(KeyboardInterrupt() if interrupted else None)


class _Collector(pytest.Collector):
    """Base of the collectors: a mistake is shown as its sentence."""

    def repr_failure(  # type: ignore[override]  # as pytest's own collectors do
        self, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> Any:  # noqa: ANN401
        """Show errors of ours as their sentence."""
        return _told(excinfo) or printable(str(super().repr_failure(excinfo)))


class ScenarioFile(_Collector, pytest.File):
    """A scenario file: its phases are its children, or its variants where it has a matrix."""

    def collect(self) -> Iterator[Variant | Phase]:
        """Yield them in file order; a mistake in the file is shown with its line."""
        for loaded in load_all(self.path):
            if loaded.variant:
                yield Variant.from_parent(self, name=loaded.variant)
            else:
                yield from _phases(self, loaded)


class Variant(_Collector):
    """One of the scenarios that a file with a matrix is."""

    def collect(self) -> Iterator[Phase]:
        """Yield the phases in file order."""
        yield from _phases(self, load(self.path, self.name))


def _phases(parent: ScenarioFile | Variant, loaded: LoadedScenario) -> Iterator[Phase]:
    for phase in loaded.scenario.phases:
        yield Phase.from_parent(parent, name=phase.name)


class Phase(_Collector):
    """A phase: its expectations are its items."""

    @property
    def state(self) -> tuple[Which, str]:
        """The scenario and the phase of it that the items report of."""
        variant = self.parent.name if isinstance(self.parent, Variant) else ""
        return Which(self.path, variant), self.name

    def collect(self) -> Iterator[ExpectationItem]:
        """Yield an item an expectation, named as in the report."""
        session = self.config.stash[SESSION]
        for planned in session.planned(*self.state):
            yield ExpectationItem.from_parent(self, name=planned.id)


class ExpectationItem(pytest.Item):
    """One expectation; it only reports what the phase's watch came to."""

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401  # pytest's own constructor
        super().__init__(**kwargs)
        self.result: ExpectationResult | None = None

    @property
    def state(self) -> tuple[Which, str]:
        """The scenario and the phase whose state this item reports of."""
        assert isinstance(self.parent, Phase)
        return self.parent.state

    def setup(self) -> None:
        """Enter the phase, unless an item before has; what cannot be judged is an error here."""
        with _narration(self.config), _sentence_alone():
            entered = self.config.stash[SESSION].enter(*self.state)
        self.result = next(each for each in entered.verdicts if each.id == self.name)
        if self.result.verdict is Verdict.INCONCLUSIVE:
            _fail(f"{self.result.expected_text}: {self.result.explanation}")

    def runtest(self) -> None:
        """Report the verdict."""
        assert self.result is not None
        for name in ("expected_text", "observed_text", "explanation"):
            self.user_properties.append((name, getattr(self.result, name)))
        if self.result.verdict is not Verdict.MET:
            raise NotMetError(self.result)

    def repr_failure(
        self,
        excinfo: pytest.ExceptionInfo[BaseException],
        style: Any = None,  # noqa: ANN401  # pytest's own signature
    ) -> Any:  # noqa: ANN401
        """Show errors of ours as their sentence."""
        return _told(excinfo) or printable(str(super().repr_failure(excinfo, style)))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Name the item as its node id does."""
        which, phase = self.state
        parts = [which.variant, phase, self.name] if which.variant else [phase, self.name]
        return self.path, None, "::".join(parts)


class NotMetError(Exception):
    """An expectation was not met."""

    def __init__(self, result: ExpectationResult) -> None:
        self.result = result
        super().__init__(
            f"expected: {result.expected_text}\n"
            f"observed: {result.observed_text}\n"
            f"verdict:  {result.verdict}: {result.explanation}"
        )


@pytest.fixture
def _k0s_run(request: pytest.FixtureRequest) -> ScenarioRun:
    """The run of the scenario that the test's `k0s` marker names, in the phase it names."""
    state = _state_of(request.node)
    if state is None:
        raise pytest.UsageError(
            f"{request.node.nodeid} uses a cluster and says not which: mark it with "
            "@pytest.mark.k0s(scenario=..., phase=...)"
        )
    session = request.config.stash[SESSION]
    with _narration(request.config), _sentence_alone():
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
    return _testinfra(lab)("controller0")


@pytest.fixture
def workers(lab: Lab) -> list[Host]:
    """The workers as testinfra hosts, in order."""
    return [_testinfra(lab)(name) for name in sorted(lab.machines) if name.startswith("worker")]


def _testinfra(lab: Lab) -> Callable[[str], Host]:
    import testinfra

    # Always OpenSSH: testinfra's paramiko backend checks no host keys.
    return lambda name: testinfra.get_host(f"ssh://{name}?ssh_config={lab.ssh_config}&sudo=true")


def _state_of(item: pytest.Item) -> tuple[Which, str] | None:
    """Return scenario and phase that an item wants, None for one that wants no cluster."""
    if isinstance(item, ExpectationItem):
        return item.state
    marker = item.get_closest_marker("k0s")
    if marker is None:
        return None
    try:
        path = find(marker.kwargs["scenario"], item.config.rootpath / _SCENARIOS)
        loaded = load(path, marker.kwargs.get("variant", ""))
    except UsageError as error:
        raise _usage(error) from None
    except KeyError:
        raise pytest.UsageError(f"{item.nodeid}: the k0s marker needs scenario=...") from None
    phase = marker.kwargs.get("phase") or loaded.scenario.phases[0].name
    return Which(path.resolve(), loaded.variant), phase


@contextlib.contextmanager
def _narration(config: pytest.Config) -> Iterator[None]:
    """Let what is narrated through pytest's capture: a person waits minutes here."""
    manager = config.pluginmanager.getplugin("capturemanager")
    if manager is None:
        yield
        return
    with manager.global_and_fixture_disabled():
        yield


@contextlib.contextmanager
def _sentence_alone() -> Iterator[None]:
    """Let an error of ours end a set-up without the traceback that pytest shows there."""
    try:
        yield
    except HarnessError as error:
        _fail(error.text())


# pytest writes what it is given to the terminal as it stands.
def _usage(error: UsageError) -> pytest.UsageError:
    return pytest.UsageError(printable(error.text()))


def _fail(sentence: str) -> NoReturn:
    pytest.fail(printable(sentence), pytrace=False)


def _told(excinfo: pytest.ExceptionInfo[BaseException]) -> str | None:
    """Return an error of ours as its sentence, None for any other."""
    error = excinfo.value
    if isinstance(error, HarnessError):
        return printable(error.text())
    return printable(str(error)) if isinstance(error, NotMetError) else None
