"""k0s on a lab: deployed by k0sctl as a user would, and changed the same way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.artifacts.model import Artifact, ArtifactKind
from harness.base.context import Say
from harness.base.process import Runner
from harness.changes.deployment import Deployment
from harness.cluster.k0sctl import K0sctl
from harness.cluster.kubectl import Kubectl
from harness.lab.lab import Lab
from harness.plan import k0sctl as k0sctl_yaml
from harness.plan.model import Plan
from harness.providers.vagrant import mark
from harness.ssh.pace import is_slow
from harness.state.records import KUBECONFIG
from harness.vocabulary.machines import CONTROLLER

# k0s's name for it, whether it runs a kubelet or not (k0s install controller).
CONTROLLER_UNIT = "k0scontroller"
# Stopping etcd and the control plane takes 5-10 s; systemd itself gives up after 90 s.
RESTART_SECONDS = 120.0


class Cluster:
    """The cluster of one run. Credentials stay in the lab's state folder, which is not published.

    `k0sctl.yaml` is written to the run's folder as well: it names keys by path and holds none.
    `deployed` is what stands there, None before the first `apply`.
    """

    def __init__(
        self,
        lab: Lab,
        plan: Plan,
        artifacts: Mapping[ArtifactKind, Artifact],
        *,
        folder: Path,
        runner: Runner,
        deployed: Deployment | None = None,
    ) -> None:
        self._lab = lab
        self.plan = plan
        self._artifacts = artifacts
        self._folder = folder
        self._runner = runner
        self._kubeconfig = lab.folder / KUBECONFIG
        self.deployed = deployed
        self.kubectl = Kubectl(
            artifacts[ArtifactKind.KUBECTL].path, self._kubeconfig, runner, pace=lab.pace
        )

    def apply(
        self,
        deployment: Deployment,
        *,
        may_fail: bool = False,
        joining: bool = False,
        on_phase: Say | None = None,
    ) -> None:
        """Deploy the cluster, or change what stands there to `deployment`.

        The nodes of a new one may still be `joining` at the end.

        k0sctl writes a changed ClusterConfig and leaves the controller running with the old one
        (v0.31.0, seen with `spec.api.extraArgs`); so it is restarted, as a user would have to.
        Raises `ApplyFailedError` with k0sctl's reason, sooner where it `may_fail`.
        """
        text = self.render(deployment)
        config = self._lab.folder / "k0sctl.yaml"
        config.write_text(text)
        (self._folder / "k0sctl.yaml").write_text(text)
        K0sctl(
            self._artifacts[ArtifactKind.K0SCTL].path,
            config=config,
            known_hosts=self._lab.known_hosts,
            scratch=self._lab.folder / "k0sctl-cache",
            log=self._folder / "k0sctl.log",
            runner=self._runner,
            mark=mark(self._lab.folder),
        ).apply(
            kubeconfig=self._kubeconfig,
            api=self._lab.machines[CONTROLLER].api,
            pace=self._lab.pace,
            may_fail=may_fail,
            first=self.deployed is None,
            joining=joining,
            on_phase=on_phase,
        )
        if self.deployed is not None and self.deployed.fragment != deployment.fragment:
            if on_phase is not None:
                on_phase("Restart the controllers")
            for machine in self.plan.controllers:
                self._lab.remote(machine.name).run(
                    ["systemctl", "restart", CONTROLLER_UNIT],
                    doing=f"Restarting k0s on {machine.name} with its new configuration",
                    deadline=RESTART_SECONDS * self._lab.pace,
                    sudo=True,
                )
        self.deployed = deployment

    def render(self, deployment: Deployment) -> str:
        """Return the k0sctl.yaml of the cluster as `deployment` has it."""
        seeded = self._lab.seed is not None
        bundle = None if seeded else self._artifacts.get(ArtifactKind.BUNDLE)
        machines = self._lab.machines
        return k0sctl_yaml.render(
            self.plan,
            endpoints={name: each.endpoint for name, each in machines.items()},
            deployment=deployment,
            nat_addresses={name: each.nat_address for name, each in machines.items()},
            binary=self._artifacts[ArtifactKind.K0S].path,
            bundle=bundle.path if bundle is not None else None,
            # Harmless where containers may do everything, and needed where this host may not. Once
            # is enough: k0sctl would write it again each time, k0s restarts containerd whenever a
            # drop-in is written (pkg/component/worker/containerd/component.go at v1.32.3+k0s.0),
            # and a scrape in the 5 s without one leaves metrics-server nothing to serve, so that it
            # is not Ready half a minute later (four scenarios of thirty, 2026-11-24).
            restrict_oom_score=not self._lab.own_kernel and self.deployed is None,
            use_existing_k0s=seeded,
            slow_machines=is_slow(self._lab.pace),
        )
