"""Scenarios in several processes of pytest-xdist: one group for each state in which some begin.

The process that shares the work out runs nothing itself. It gives the others one run id, narrates
what they tell, and takes what their runs came to when they end. Loaded where pytest-xdist is at
work, and nowhere else.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter
from xdist.workermanage import NodeManager

from harness.base.errors import InfrastructureError
from harness.engine import events
from harness.engine.parts import NotStarted
from harness.engine.results import ScenarioResult
from harness.engine.session import Which
from harness.pytest_session import NARRATOR, RUN_ID, STATE, TELL, fail, session_of

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

# A process that is told to end removes its machines first, which pytest-xdist gives it 10 s for.
ENDING_SECONDS = 180
_DIST = "k0s_harness_dist"
_RESULTS = "k0s_harness_results"
_NOT_STARTED = "k0s_harness_not_started"
_SUFFIXES = (".yaml", ".yml")
_GROUPED = "loadgroup"


# Once for each kind of what is told: a lab tells hundreds of events.
@functools.cache
def _reader(kind: type[Any]) -> Callable[[object], Any]:
    return TypeAdapter(kind).validate_python


def configure(config: pytest.Config) -> None:
    """Let this process share scenarios out by group, or run what it is given of them."""
    if hasattr(config, "workerinput"):
        # It has read the command line as it was typed.
        config.option.loadgroup = config.workerinput[_DIST] == _GROUPED
        config.pluginmanager.register(_Worker(config), "k0s-harness-worker")
        return
    if any(arg.split("::")[0].endswith(_SUFFIXES) for arg in config.args):
        config.option.dist = _GROUPED
    # In the order of collection, which is longest first.
    config.option.loadscopereorder = False
    NodeManager.EXIT_TIMEOUT = ENDING_SECONDS
    config.pluginmanager.register(_Controller(config), "k0s-harness-controller")


class _Worker:
    """A process that runs what it is given."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put each item's group into its id, which is what pytest-xdist shares out by."""
        for item in items if self._config.getvalue(_GROUPED) else ():
            mark = item.get_closest_marker("xdist_group")
            if mark is not None and not item.nodeid.endswith(f"@{mark.args[0]}"):
                # pytest-xdist 3.8 does it where pytest had the id before 9.2.
                node_id = item._id  # noqa: SLF001
                item._id = type(node_id).parse(f"{item.nodeid}@{mark.args[0]}")  # noqa: SLF001

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Refuse clusters where nothing keeps what shares one in one process."""
        if item.stash.get(STATE, None) is not None and not self._config.getvalue(_GROUPED):
            fail("clusters in several processes need --dist loadgroup")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Hand over what the runs came to."""
        session = session_of(self._config)
        output = self._config.workeroutput  # type: ignore[attr-defined]  # pytest-xdist's
        output[_RESULTS] = json.dumps([each.to_dict() for each in session.results])
        output[_NOT_STARTED] = json.dumps(
            [
                [str(which.path), which.variant, asdict(NotStarted.of(error))]
                for which, error in session.not_started.items()
            ]
        )


class _Controller:
    """The process that shares the work out."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        # Each process is heard in a thread of its own.
        self._hearing = threading.Lock()

    def pytest_configure_node(self, node: WorkerController) -> None:
        """Give every process the run id of this command, and a way to tell what it does."""
        node.workerinput[RUN_ID] = session_of(self._config).run_id
        node.workerinput[_DIST] = self._config.option.dist
        told = node.gateway.newchannel()
        told.setcallback(self._hear)
        node.workerinput[TELL] = told

    def _hear(self, told: str) -> None:
        """Take an event, or a result as it stands once nothing more is judged."""
        whose, name, value = json.loads(told)
        with self._hearing:
            if name == ScenarioResult.__name__:
                result = _reader(ScenarioResult)(value)
                session_of(self._config).on_verdict(result)
            else:
                event = _reader(getattr(events, name))(value)
                self._config.stash[NARRATOR](event, whose)

    def pytest_testnodedown(self, node: WorkerController, error: object) -> None:
        """Take what the runs of a process came to."""
        session = session_of(self._config)
        output: Mapping[str, Any] = getattr(node, "workeroutput", None) or {}
        if error or _RESULTS not in output:
            # What it began is in the runs' folder, without a verdict.
            session.not_started[Which(Path(node.gateway.id))] = InfrastructureError(
                "Running scenarios side by side",
                f"the process {node.gateway.id} ended before its time: {error}",
                remedy="k0s-harness labs --clean removes what it left",
                where=session.folder,
            )
            return
        session.results += map(_reader(ScenarioResult), json.loads(output[_RESULTS]))
        for path, variant, told in json.loads(output[_NOT_STARTED]):
            session.not_started[Which(Path(path), variant)] = NotStarted(**told).error
