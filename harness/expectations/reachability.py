"""Whether new connections over the path in use succeed; `harness.check.reachability` judges it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from harness.expectations.kind import Watched


class Reachability(Watched):
    """Whether every one of a round of new connections over the path in use succeeds."""

    kind: ClassVar[str] = "reachability"
    presumes_metrics_server: ClassVar[bool] = True
    notes: ClassVar[Mapping[str, str]] = {"whole": "true or false"}
    lacks: ClassVar[Mapping[str, str]] = {
        "hold": "one round of connections is judged at once: it has no `hold`"
    }

    whole: bool
    """true: every connection succeeded; false: some failed and others did not."""

    def describe(self) -> str:
        return f"new connections: {'all' if self.whole else 'only some'} succeed"
