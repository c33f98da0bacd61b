"""k0sctl.yaml: the plan in k0sctl's words (v0.31 and v0.32, `k0sctl.k0sproject.io/v1beta1`)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import Protocol

import yaml

from harness.plan.config import cluster_config
from harness.plan.model import MachinePlan
from harness.plan.model import Plan
from harness.scenario.words import Component
from harness.scenario.words import Role

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
    phase_disabled: Iterable[Component],
    binary: Path,
    bundle: Path | None,
    restrict_oom_score: bool = False,
    use_existing_k0s: bool = False,
) -> str:
    """Return the text of k0sctl.yaml for a phase of `plan`.

    `endpoints` has one for each machine by name; `phase_disabled` the components that are off in
    the phase. `binary` is the verified k0s binary on this host, uploaded to every machine, unless
    `use_existing_k0s` says that the machines were made with it. `bundle` is the image bundle,
    uploaded to the workers; None where they already have its images. `restrict_oom_score` gives the
    workers' containerd the drop-in that containers without CAP_SYS_RESOURCE need.
    """
    disabled = sorted(component.value for component in phase_disabled)
    with_bundle = bundle is not None or use_existing_k0s
    document = {
        "apiVersion": "k0sctl.k0sproject.io/v1beta1",
        "kind": "Cluster",
        "metadata": {"name": plan.scenario.name},
        "spec": {
            "hosts": [
                _host(
                    machine,
                    endpoints[machine.name],
                    disabled=disabled,
                    binary=None if use_existing_k0s else binary,
                    bundle=bundle,
                    restrict_oom_score=restrict_oom_score,
                )
                for machine in plan.machines
            ],
            "k0s": {
                "version": str(plan.k0s_version),
                "dynamicConfig": False,
                "config": cluster_config(plan, with_bundle=with_bundle),
            },
        },
    }
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)
    # k0sctl puts environment variables in before it reads the file; `$$` is how it spells `$`.
    return text.replace("$", "$$")


def _host(
    machine: MachinePlan,
    endpoint: Endpoint,
    *,
    disabled: list[str],
    binary: Path | None,
    bundle: Path | None,
    restrict_oom_score: bool,
) -> dict[str, Any]:
    host: dict[str, Any] = {
        "role": machine.role.value,
        # Becomes the workers' --node-ip and etcd's peer address; left out, it may be the NAT one.
        "privateAddress": machine.address,
        "ssh": {
            "address": endpoint.address,
            "port": endpoint.port,
            "user": endpoint.user,
            "keyPath": str(endpoint.key_path),
        },
    }
    if binary is None:
        host["useExistingK0s"] = True
    else:
        # k0sctl uploads k0sBinaryPath where uploadBinary is on, and does not download another.
        host |= {"uploadBinary": True, "k0sBinaryPath": str(binary)}
    if machine.role is Role.WORKER:
        if files := [*_files(bundle, restrict_oom_score=restrict_oom_score)]:
            host["files"] = files
    elif disabled:
        host["installFlags"] = [f"--disable-components={','.join(disabled)}"]
    return host


def _files(bundle: Path | None, *, restrict_oom_score: bool) -> Iterable[dict[str, str]]:
    # Modes are text: as numbers, YAML readers differ over what 0644 is.
    if restrict_oom_score:
        yield {
            "name": "containerd drop-in",
            "dst": CONTAINERD_DROP_IN_PATH,
            "perm": "0644",
            "data": CONTAINERD_DROP_IN,
        }
    if bundle is not None:
        yield {"name": "image bundle", "src": str(bundle), "dstDir": IMAGES_DIR, "perm": "0644"}


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
