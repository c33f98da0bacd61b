"""The verb `bench`: a cold konnectivity-on by the harness and by hand, alternately.

A round ends at the first Available=True.

By hand means what a person types: `vagrant up` with the same Vagrantfile, `k0sctl apply` with the
same configuration, two times `kubectl wait`. The node image, the release files and the isolation
of this host are there beforehand for both; all else that the harness does is in its time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.model import Artifact, ArtifactKind
from harness.artifacts.store import Store
from harness.base.context import Context
from harness.base.errors import ExitCode, InfrastructureError
from harness.base.printing import say, show
from harness.base.process import LocalRunner, Runner
from harness.base.settings import Settings
from harness.base.shipped import SCENARIOS, SHIPPED
from harness.base.wait import Clock, SystemClock
from harness.cli.options import settings_of
from harness.engine.events import Event, StepId, TransitionSeen, title_of
from harness.engine.machines import machine_specs
from harness.engine.session import RunSession, Which, plan_of
from harness.k0s import API_PORT
from harness.lab.lab import lay_out
from harness.lab.reservation import reserve
from harness.plan import k0sctl as k0sctl_yaml
from harness.plan.build import readdressed
from harness.probe.apiservice import METRICS_API
from harness.providers.registry import DEFAULT
from harness.providers.substrate import LabRequest
from harness.scenario.load import load
from harness.ssh.files import USER, SshEndpoint

# What `k0s-harness run` may take in these steps, with room for a busy host.
STEP_SECONDS = 900.0


@dataclass(frozen=True)
class Timing:
    """Seconds of one cold start: to the first Available=True, and to remove the machines."""

    available: float
    teardown: float
    apart: Mapping[str, float]


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    verb.add_argument(
        "--rounds", type=int, default=2, metavar="N", help="pairs of runs; default: 2"
    )


def command(options: argparse.Namespace) -> ExitCode:
    """Time both ways, and print the figures."""
    scenario = SCENARIOS / "konnectivity-on.yaml"
    show(bench(scenario, settings_of(options), rounds=options.rounds))
    return ExitCode.OK


def bench(scenario: Path, settings: Settings, *, rounds: int) -> str:
    """Run both ways `rounds` times, alternately, and return the figures as text.

    Raises what a run raises; a run whose expectations are not met is no measurement.
    """
    ours: list[Timing] = []
    by_hand: list[Timing] = []
    for number in range(1, rounds + 1):
        say(f"round {number} of {rounds}: the harness")
        ours.append(_by_harness(scenario, settings))
        say(f"round {number} of {rounds}: by hand")
        by_hand.append(_by_hand(scenario, settings))
    return render(ours, by_hand)


def render(ours: Sequence[Timing], by_hand: Sequence[Timing]) -> str:
    """Return a line a round, the median ratio of pairs, and what is listed apart."""
    lines = [
        f"{'round':<8}{'harness':>10}{'by hand':>10}{'ratio':>8}   to the first Available=True"
    ]
    ratios = [mine.available / hand.available for mine, hand in zip(ours, by_hand, strict=True)]
    for number, (mine, hand, ratio) in enumerate(zip(ours, by_hand, ratios, strict=True), start=1):
        lines.append(f"{number:<8}{mine.available:>9.1f}s{hand.available:>9.1f}s{ratio:>8.2f}")
    lines.append(f"median ratio {statistics.median(ratios):.2f} (the promise: at most 1.10)")
    teardowns = [mine.teardown / hand.teardown for mine, hand in zip(ours, by_hand, strict=True)]
    lines.append(
        f"teardown {ours[-1].teardown:.1f}s against {by_hand[-1].teardown:.1f}s, "
        f"median ratio {statistics.median(teardowns):.2f} (at most 1.20)"
    )
    lines += [
        f"apart, last round: {name} {seconds:.1f}s" for name, seconds in ours[-1].apart.items()
    ]
    return "\n".join(lines)


def _by_harness(scenario: Path, settings: Settings) -> Timing:
    clock = SystemClock()
    seen: list[float] = []

    def listen(event: Event) -> None:
        if isinstance(event, TransitionSeen) and event.where == "apiservice" and not seen:
            seen.extend([clock.monotonic()] if event.text.startswith("True") else [])

    session = RunSession(settings, emit=listen)
    began = clock.monotonic()
    try:
        for phase in load(scenario).scenario.phases:
            session.enter(Which(scenario), phase.name)
    except BaseException as error:
        session.finish_all(error)
        raise
    session.finish_all()
    (result,) = session.results
    if not seen:
        raise InfrastructureError("Timing the harness", f"no Available=True: {result.outcome}")
    evidence = title_of(StepId.EVIDENCE)
    apart = {name: result.timings[name] for name in (evidence,) if name in result.timings}
    apart["observation after it"] = result.timings[title_of(StepId.OBSERVE, "healthy")]
    return Timing(seen[0] - began, result.timings[title_of(StepId.TEARDOWN)], apart)


def _by_hand(scenario: Path, settings: Settings) -> Timing:
    runner: Runner = LocalRunner()
    clock: Clock = SystemClock()
    plan = plan_of(load(scenario), settings)
    artifacts = Store(settings).provide(plan.artifacts)
    with (
        reserve(
            Context(runner, clock, settings), scenario="bench", provider=DEFAULT
        ) as reservation,
        tempfile.TemporaryDirectory(prefix="k0s-harness-bench-") as folder,
    ):
        plan = readdressed(plan, reservation.subnet)
        request = LabRequest(machine_specs(plan), Path(folder))
        variables = lay_out(reservation, request)
        key = reservation.record.folder / "id"
        config = Path(folder) / "k0sctl.yaml"
        config.write_text(
            k0sctl_yaml.render(
                plan,
                endpoints={
                    machine.name: SshEndpoint(machine.address, 22, USER, key)
                    for machine in plan.machines
                },
                deployment=plan.phases[0].deployment,
                binary=artifacts[ArtifactKind.K0S].path,
                bundle=artifacts[ArtifactKind.BUNDLE].path,
                restrict_oom_score=True,
            )
        )
        began = clock.monotonic()
        for argv, environment in _commands(
            artifacts, config, Path(folder), plan.controller.address
        ):
            runner.run(
                argv,
                doing="Doing it by hand",
                deadline=STEP_SECONDS,
                env={**variables, **environment},
                cwd=SHIPPED,
            )
        available = clock.monotonic() - began
        began = clock.monotonic()
        runner.run(
            ["vagrant", "destroy", "--force"],
            doing="Doing it by hand",
            deadline=STEP_SECONDS,
            env=variables,
            cwd=SHIPPED,
        )
        return Timing(available, clock.monotonic() - began, {})


def _commands(
    artifacts: Mapping[ArtifactKind, Artifact], config: Path, folder: Path, api_address: str
) -> Sequence[tuple[Sequence[str], Mapping[str, str]]]:
    """Return what a person would type, each with what its environment needs."""
    kubeconfig = folder / "kubeconfig"
    kubectl = [str(artifacts[ArtifactKind.KUBECTL].path), "--kubeconfig", str(kubeconfig)]
    metrics_server = "deployment/metrics-server"
    wait = [*kubectl, "wait", "--namespace", "kube-system", "--timeout=300s"]
    return (
        (["vagrant", "up", "--provider=docker"], {}),
        (
            [
                str(artifacts[ArtifactKind.K0SCTL].path),
                "apply",
                "--config",
                str(config),
                "--kubeconfig-out",
                str(kubeconfig),
                "--kubeconfig-api-address",
                f"https://{api_address}:{API_PORT}",
            ],
            # By hand nobody pins the keys of machines that live for minutes; the machines are
            # this host's own containers, and nothing else is at their addresses.
            {"SSH_KNOWN_HOSTS": "", "XDG_CACHE_HOME": str(folder)},
        ),
        ([*wait, "--for=create", metrics_server], {}),
        ([*wait, "--for=condition=Available", metrics_server], {}),
        ([*wait, "--for=condition=Available", f"apiservice/{METRICS_API}"], {}),
    )
