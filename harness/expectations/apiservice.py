"""The Available condition of an APIService."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, ClassVar

from harness.diagnose.messages import classify
from harness.expectations.kind import Seen, Streamed
from harness.probe import apiservice, told
from harness.probe.core import Probe
from harness.vocabulary.fields import Hold, ObjectName, Word
from harness.vocabulary.kinds import Surroundings
from harness.vocabulary.nearest import quoted
from harness.vocabulary.part import Found
from harness.vocabulary.words import ApiserviceReason, MessageClass

# One resync of the aggregator (30 s) and its probe's cap (6 s), rounded up: a flap would show.
HOLD_SECONDS = 45.0
# Once metrics-server's endpoint is ready the aggregator dials it within a second or two.
_TOLD_SECONDS = 3
_WITHOUT_BACKEND = {
    ApiserviceReason.SERVICE_NOT_FOUND,
    ApiserviceReason.SERVICE_PORT_ERROR,
    ApiserviceReason.ENDPOINTS_NOT_FOUND,
    ApiserviceReason.MISSING_ENDPOINTS,
}


class Apiservice(Streamed):
    """The Available condition of an APIService."""

    kind: ClassVar[str] = "apiservice"
    presumes_metrics_server: ClassVar[bool] = True
    working: ClassVar[Collection[str]] = ("True Passed",)
    notes: ClassVar[Mapping[str, str]] = {"available": "true or false"}

    name: ObjectName
    """Name of the APIService, as in v1beta1.metrics.k8s.io."""

    available: bool
    """Status of its Available condition: true or false."""

    reason: Annotated[ApiserviceReason, Word(ApiserviceReason, "reason")] | None = None
    """Reason of the condition, as in FailedDiscoveryCheck."""

    message_class: Annotated[MessageClass, Word(MessageClass, "message class")] | None = None
    """What the condition's message says of the dial. The text varies from poll to poll."""

    hold: Hold = HOLD_SECONDS
    """How long the state must then last: a first `Available=True` proves little."""

    @property
    def wants_connections(self) -> bool:
        # One success of five tries is enough for the condition.
        return self.available

    @property
    def wants_broken(self) -> bool:
        return not self.available

    @property
    def denies_backend(self) -> bool:
        return self.reason in _WITHOUT_BACKEND

    def describe(self) -> str:
        details = [
            f"Available={self.available}",
            *([f"reason {self.reason}"] if self.reason else []),
            *([f"message class {self.message_class}"] if self.message_class else []),
        ]
        return f"APIService {self.name}: {', '.join(details)}"

    def rules(self, around: Surroundings) -> tuple[Found, ...]:
        return self._reason(), self._message_class()

    def _reason(self) -> Found:
        if self.available and self.reason not in (
            None,
            ApiserviceReason.PASSED,
            ApiserviceReason.LOCAL,
        ):
            why = f"an available APIService never has the reason {quoted(self.reason)}"
            yield ("reason",), why

    def _message_class(self) -> Found:
        if self.available and self.message_class is not None:
            yield ("message_class",), "only a failed check has a message class"

    def probe(self) -> Probe[apiservice.APIServiceState]:
        return apiservice.look(self.name)

    def until_told(self) -> Probe[None] | None:
        if not self.available:
            # A cluster that is about to be healthy shows the failure as well.
            return None
        condition = (f"apiservice/{self.name}", "--for=condition=Available")
        return told.until(self.probe().name, *condition, seconds=_TOLD_SECONDS)

    def judge(self, value: apiservice.APIServiceState, nodes: tuple[str, ...]) -> Seen:
        matches = (
            value.exists
            and value.available is self.available
            and self.reason in (None, value.reason)
            and self.message_class in (None, classify(value.message))
        )
        return Seen(matches, value.text(), value.brief(), value.since)
