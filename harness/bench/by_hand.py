"""A cold start by hand: what a person would type.

`vagrant up` with the same Vagrantfile, `k0sctl apply` with the same configuration, `kubectl wait`.
The node image, the release files and the isolation of this host are there beforehand, as they are
for the harness; all else that the harness does is in its time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.artifacts.model import Artifact, ArtifactKind
from harness.artifacts.store import Store
from harness.base.context import Context
from harness.base.shipped import SHIPPED
from harness.engine.machines import machine_specs
from harness.engine.session import plan_of
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
_STEP_SECONDS = 900.0


def by_hand(context: Context, scenario: Path) -> dict[str, float]:
    """Do it on containers, and return the seconds to the first Available=True and of removal."""
    plan = plan_of(load(scenario), context.settings)
    artifacts = Store(context.settings).provide(plan.artifacts)
    with (
        reserve(context, scenario="bench", provider=DEFAULT) as reservation,
        tempfile.TemporaryDirectory(prefix="k0s-harness-bench-") as folder,
    ):
        plan = readdressed(plan, reservation.subnet)
        variables = lay_out(reservation, LabRequest(machine_specs(plan), Path(folder)))
        config = Path(folder) / "k0sctl.yaml"
        config.write_text(
            k0sctl_yaml.render(
                plan,
                endpoints={
                    each.name: SshEndpoint(each.address, 22, USER, reservation.record.folder / "id")
                    for each in plan.machines
                },
                deployment=plan.phases[0].deployment,
                binary=artifacts[ArtifactKind.K0S].path,
                bundle=artifacts[ArtifactKind.BUNDLE].path,
                restrict_oom_score=True,
            )
        )

        def typed(argv: Sequence[str], **more: str) -> None:
            context.runner.run(
                argv,
                doing="Doing it by hand",
                deadline=_STEP_SECONDS,
                env={**variables, **more},
                cwd=SHIPPED,
            )

        began = context.clock.monotonic()
        typed(["vagrant", "up", "--provider=docker"])
        # By hand nobody pins the keys of machines that live for minutes; the machines are this
        # host's own containers, and nothing else is at their addresses.
        apply = _apply(artifacts, config, plan.controller.address)
        typed(apply, SSH_KNOWN_HOSTS="", XDG_CACHE_HOME=folder)
        for argv in _waits(artifacts, config.with_name("kubeconfig")):
            typed(argv)
        available = context.clock.monotonic()
        typed(["vagrant", "destroy", "--force"])
        return {
            "available": available - began,
            "teardown": context.clock.monotonic() - available,
        }


def _apply(
    artifacts: Mapping[ArtifactKind, Artifact], config: Path, api_address: str
) -> Sequence[str]:
    return [
        *(str(artifacts[ArtifactKind.K0SCTL].path), "apply"),
        *("--config", str(config)),
        *("--kubeconfig-out", str(config.with_name("kubeconfig"))),
        *("--kubeconfig-api-address", f"https://{api_address}:{API_PORT}"),
    ]


def _waits(artifacts: Mapping[ArtifactKind, Artifact], kubeconfig: Path) -> Sequence[Sequence[str]]:
    kubectl = [str(artifacts[ArtifactKind.KUBECTL].path), "--kubeconfig", str(kubeconfig)]
    wait = [*kubectl, "wait", "--namespace", "kube-system", "--timeout=300s"]
    return (
        [*wait, "--for=create", "deployment/metrics-server"],
        [*wait, "--for=condition=Available", "deployment/metrics-server"],
        [*wait, "--for=condition=Available", f"apiservice/{METRICS_API}"],
    )
