"""Scenario files as pytest's collectors and items.

One item is one expectation of one phase; entering the phase is the item's set-up, so what could
not be judged is an error and not a failure.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.base.errors import HarnessError
from harness.base.printable import printable
from harness.check.model import Verdict
from harness.engine.results import ExpectationResult
from harness.engine.session import Which
from harness.pytest_session import STATE, fail, narration, sentence_alone, session_of
from harness.scenario.load import LoadedScenario, is_scenario, load, load_all


def scenario_file(path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    """Return the collector of a scenario file, None for another file."""
    if not is_scenario(path):
        return None
    collector: ScenarioFile = ScenarioFile.from_parent(parent, path=path)
    return collector


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
        """Yield one item for each expectation, named as in the report."""
        session = session_of(self.config)
        for planned in session.planned(*self.state):
            yield ExpectationItem.from_parent(self, name=planned.id)


class ExpectationItem(pytest.Item):
    """One expectation; it only reports what the phase's watch came to."""

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401  # pytest's own constructor
        super().__init__(**kwargs)
        self.result: ExpectationResult | None = None
        assert isinstance(self.parent, Phase)
        self.state = self.parent.state
        self.stash[STATE] = self.state

    def setup(self) -> None:
        """Enter the phase, unless an item before has; what cannot be judged is an error here."""
        with narration(self.config), sentence_alone():
            entered = session_of(self.config).enter(*self.state)
        self.result = next(each for each in entered.verdicts if each.id == self.name)
        if self.result.verdict is Verdict.INCONCLUSIVE:
            fail(f"{self.result.expected_text}: {self.result.explanation}")

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


def _told(excinfo: pytest.ExceptionInfo[BaseException]) -> str | None:
    """Return an error of ours as its sentence, None for any other."""
    error = excinfo.value
    if isinstance(error, HarnessError):
        return printable(error.text())
    return printable(str(error)) if isinstance(error, NotMetError) else None
