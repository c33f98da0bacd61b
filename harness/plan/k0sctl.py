"""k0sctl.yaml: the plan in k0sctl's words (v0.31 and v0.32, `k0sctl.k0sproject.io/v1beta1`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import yaml

from harness.changes.deployment import Deployment
from harness.plan.config import cluster_config
from harness.plan.model import MachinePlan, Plan
from harness.vocabulary.words import Role

# Where k0s imports image bundles from when a worker starts (k0s docs/airgap-install.md).
IMAGES_DIR = "/var/lib/k0s/images/"
CONTAINERD_DROP_IN_PATH = "/etc/k0s/containerd.d/restrict-oom-score.toml"
# Without CAP_SYS_RESOURCE containerd cannot lower a pod's oom score and starts none, unless told
# to make do with what it may set. For containerd 1.7, k0s up to 1.35.
CONTAINERD_DROP_IN = """\
version = 2
[plugins."io.containerd.grpc.v1.cri"]
restrict_oom_score_adj = true
"""


class Endpoint(Protocol):
    """Where SSH reaches a machine, and with which key."""

    @property
    def address(self) -> str:
        """IP address."""

    @property
    def port(self) -> int:
        """TCP port."""

    @property
    def user(self) -> str:
        """Account with password-less sudo."""

    @property
    def key_path(self) -> Path:
        """Private key on this host."""


def render(
    plan: Plan,
    *,
    endpoints: Mapping[str, Endpoint],
    deployment: Deployment,
    binary: Path,
    bundle: Path | None,
    nat_addresses: Mapping[str, str] = MappingProxyType({}),
    restrict_oom_score: bool = False,
    use_existing_k0s: bool = False,
    slow_machines: bool = False,
) -> str:
    """Return the text of k0sctl.yaml for `plan` in the state `deployment`, which a phase has.

    `endpoints` has one for each machine by name. `binary` is the verified k0s binary on this host,
    uploaded to every machine, unless `use_existing_k0s` says that the machines were made with it.
    `bundle` is the image bundle, uploaded to every machine with a kubelet; None where they already
    have its images. `nat_addresses` has the address on the NAT network of each machine that
    `deployment.nat_node_ips` names. `restrict_oom_score` gives containerd the drop-in that
    containers without CAP_SYS_RESOURCE need. `slow_machines` gives the CNI more time.
    """
    with_bundle = bundle is not None or use_existing_k0s
    document = {
        "apiVersion": "k0sctl.k0sproject.io/v1beta1",
        "kind": "Cluster",
        "metadata": {"name": plan.scenario.name},
        "spec": {
            "hosts": [
                {
                    **_host(machine, endpoints[machine.name]),
                    **_binary(None if use_existing_k0s else binary),
                    **_told(machine, deployment, nat_addresses),
                    **_files(machine, bundle, restrict_oom_score=restrict_oom_score),
                }
                for machine in plan.machines
            ],
            "k0s": {
                "version": str(plan.k0s_version),
                "dynamicConfig": False,
                "config": cluster_config(
                    plan, deployment, with_bundle=with_bundle, slow_machines=slow_machines
                ),
            },
        },
    }
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)
    # k0sctl puts environment variables in before it reads the file; `$$` is how it spells `$`.
    return text.replace("$", "$$")


def _host(machine: MachinePlan, endpoint: Endpoint) -> dict[str, Any]:
    host: dict[str, Any] = {
        "role": machine.role.value,
        # Becomes the kubelets' --node-ip and etcd's peer address; left out, it may be the NAT one.
        "privateAddress": machine.address,
        "ssh": {
            "address": endpoint.address,
            "port": endpoint.port,
            "user": endpoint.user,
            "keyPath": str(endpoint.key_path),
        },
    }
    if machine.role is Role.CONTROLLER_WORKER:
        # Without it k0s taints the node, and pods that tolerate nothing stay on the workers.
        host["noTaints"] = True
    return host


def _binary(binary: Path | None) -> dict[str, Any]:
    if binary is None:
        return {"useExistingK0s": True}
    # k0sctl uploads k0sBinaryPath where uploadBinary is on, and does not download another.
    return {"uploadBinary": True, "k0sBinaryPath": str(binary)}


def _told(
    machine: MachinePlan, deployment: Deployment, nat_addresses: Mapping[str, str]
) -> dict[str, Any]:
    """Return what the deployment tells k0s on this machine, as k0sctl's keys of a host."""
    told: dict[str, Any] = {}
    if variables := deployment.environment.get(machine.name):
        told["environment"] = dict(variables)
    flags = []
    if machine.role is not Role.WORKER and deployment.disabled_components:
        flags.append(f"--disable-components={','.join(sorted(deployment.disabled_components))}")
    if machine.name in deployment.nat_node_ips:
        # k0sctl adds privateAddress as --node-ip only where the flag does not have one yet.
        flags.append(f"--kubelet-extra-args=--node-ip={nat_addresses[machine.name]}")
    if flags:
        told["installFlags"] = flags
    return told


def _files(
    machine: MachinePlan, bundle: Path | None, *, restrict_oom_score: bool
) -> dict[str, list[dict[str, str]]]:
    if machine.role is Role.CONTROLLER:
        return {}
    # Modes are text: as numbers, YAML readers differ over what 0644 is.
    files = []
    if restrict_oom_score:
        files.append(
            {
                "name": "containerd drop-in",
                "dst": CONTAINERD_DROP_IN_PATH,
                "perm": "0644",
                "data": CONTAINERD_DROP_IN,
            }
        )
    if bundle is not None:
        files.append(
            {"name": "image bundle", "src": str(bundle), "dstDir": IMAGES_DIR, "perm": "0644"}
        )
    return {"files": files} if files else {}


class _Dumper(yaml.SafeDumper):
    """PyYAML's writer; text stays text to every reader, and lists are indented for people."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


# Go's reader takes more for numbers and booleans than PyYAML does when it writes: 1e3, 0o17, y.
_NOT_TEXT_TO_SOME = re.compile(
    r"[-+.]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|0[xob][0-9a-fA-F_]+|[yYnN]"
)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    if _NOT_TEXT_TO_SOME.fullmatch(text):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
