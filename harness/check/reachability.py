"""Whether the way is whole: new connections over the path in use, none of which may fail.

Holding the condition alone would see a mesh with one of two agents cut off in about 3 % of cases,
since one of five parallel tries is enough for `Available=True`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.check.model import Judgement, Verdict
from harness.probe.controlplane import TunnelServer
from harness.probe.dials import Dials

# New connections per path. With one of two agents cut off each is lost with probability 1/2.
CONNECTIONS = 20


def judge(
    dials: Sequence[Dials],
    before: TunnelServer | None,
    after: TunnelServer | None,
    *,
    unread: Sequence[str] = (),
) -> Judgement:
    """Return met, not met (partial) or inconclusive; never an open judgement.

    `before` and `after` are the konnectivity server's figures from the round to the hold's end,
    both None where konnectivity is off. `unread` says what of the paths could not be read: a way
    that was not tried was not seen to be whole.
    """
    failed = [found for found in dials if not found.all_connected]
    if failed:
        text = "partial: " + "; ".join(found.text() for found in failed)
        return Judgement(Verdict.NOT_MET, text, text)
    if before is not None and after is not None and after.dial_failures > before.dial_failures:
        grown = after.dial_failures - before.dial_failures
        text = f"partial: the konnectivity server counted {grown} failed dials meanwhile"
        return Judgement(Verdict.NOT_MET, text, text)
    if unread:
        text = "not every connection could be tried: " + "; ".join(unread)
        return Judgement(Verdict.INCONCLUSIVE, text, text)
    if not dials:
        text = "no connection was tried over the path in use"
        return Judgement(Verdict.INCONCLUSIVE, text, text)
    few = [found for found in dials if found.tried < CONNECTIONS]
    if few:
        text = f"fewer than {CONNECTIONS} connections were tried: {few[0].text()}"
        return Judgement(Verdict.INCONCLUSIVE, text, text)
    text = "; ".join(found.text() for found in dials)
    return Judgement(Verdict.MET, text, text)


def expected(found: Judgement | None, *, whole: bool, partial: bool) -> Judgement:
    """Return how a round that came to `found` (None while it lasts) stands to what is expected.

    `partial` says whether some of its connections were opened and others were not: that, and not a
    way that is closed altogether, is what `whole: false` expects.
    """
    if found is None:
        return Judgement(None, "connecting", "nothing was seen")
    if found.verdict is Verdict.INCONCLUSIVE or whole:
        return found
    met = found.verdict is Verdict.NOT_MET and partial
    return replace(found, verdict=Verdict.MET if met else Verdict.NOT_MET)


def combine(held: Judgement, connected: Judgement | None) -> Judgement:
    """Return a hold that was met as it stands with the round of connections, open until it ends."""
    if connected is None:
        return replace(held, verdict=None, explanation="connecting", decided_at=None)
    explanation = f"{held.explanation}; {connected.explanation}"
    return replace(held, verdict=connected.verdict, explanation=explanation)
