"""The cause that the diagnosis names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from harness.diagnose import model
from harness.diagnose.causes import KINDS
from harness.expectations.kind import Watched
from harness.expectations.sample import Match, Sample
from harness.vocabulary.fields import Word
from harness.vocabulary.kinds import Surroundings
from harness.vocabulary.nearest import quoted
from harness.vocabulary.part import Found
from harness.vocabulary.words import CAUSES, Cause


class Diagnosis(Watched):
    """The cause that the diagnosis names, from evidence alone."""

    kind: ClassVar[str] = "diagnosis"
    presumes_metrics_server: ClassVar[bool] = True
    working: ClassVar[Collection[str]] = (Cause.HEALTHY,)
    notes: ClassVar[Mapping[str, str]] = {"also": "second causes"}
    lacks: ClassVar[Mapping[str, str]] = {
        "hold": "a diagnosis is made once, from all the evidence: it has no `hold`"
    }

    cause: Annotated[str, Word(CAUSES, "cause")]
    """The cause."""

    also: Annotated[
        tuple[Annotated[str, Word(CAUSES, "cause")], ...], Field(strict=False, min_length=1)
    ] = ()
    """Second causes that it must name, too."""

    @property
    def wants_broken(self) -> bool:
        return self.cause != Cause.HEALTHY

    @property
    def denies_backend(self) -> bool:
        return any(kind.backend_down for kind in KINDS if kind.cause == self.cause)

    def describe(self) -> str:
        also = f", also {', '.join(self.also)}" if self.also else ""
        return f"diagnosis: {self.cause}{also}"

    def rules(self, around: Surroundings) -> tuple[Found, ...]:
        return self._listed_twice(), self._beside_the_first()

    def _listed_twice(self) -> Found:
        for index, cause in enumerate(self.also):
            if cause in self.also[:index]:
                yield ("also", index), f"{quoted(cause)} is listed twice"

    def _beside_the_first(self) -> Found:
        for index, cause in enumerate(self.also):
            if cause == self.cause:
                yield ("also", index), f"{quoted(cause)} is listed twice"
            elif Cause.HEALTHY in (self.cause, cause) and cause not in self.also[:index]:
                yield ("also", index), "a healthy cluster has no second cause"

    def sample(self, found: model.Diagnosis, at: float) -> Sample:
        """Return a diagnosis made at `at`, as it sees it."""
        named = found.cause == self.cause and set(self.also) <= set(found.also)
        match = Match.MATCH if named else Match.MISMATCH
        first = found.first_broken_hop
        text = f"{found.cause} ({found.confidence} confidence)" + "".join(
            f", also {cause}" for cause in found.also
        )
        full = text + (f", first broken hop: {first}" if first else "")
        return Sample(at, match, full, state=found.cause)
