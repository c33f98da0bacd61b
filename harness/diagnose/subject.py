"""Whether what was looked at can be diagnosed at all; sentences for where it cannot."""

from __future__ import annotations

from harness.base.errors import HarnessError, InfrastructureError, UsageError
from harness.diagnose.facts import Facts
from harness.diagnose.hops_backend import answers
from harness.probe import registry, workloads
from harness.probe.core import API, MachineProbe, refused_by_sudo

_DOING = "Diagnosing"
# The shell's and sudo's words for a program that is not there.
_NO_PROGRAM = ("command not found", "not found", "No such file or directory")
_NOT_FOUND = 127
# Of what kubectl said last.
_MOST_SAID = 500


def problem(facts: Facts) -> HarnessError | None:
    """Return why no diagnosis can be made of what was seen, None where one can."""
    nodes = facts.one(workloads.NODES)
    if not facts.readings:
        return UsageError(_DOING, "there is no reading of the hop ladder in it")
    refused = {where for (_, where), each in facts.readings.items() if refused_by_sudo(each)}
    if API in refused:
        return InfrastructureError(
            _DOING,
            "sudo on the controller wants a password, and k0s's kubectl wants root there",
            remedy="allow the user of k0sctl.yaml password-less sudo, or name root in it; or look "
            "at the API only, with --kubeconfig",
        )
    if _not_k0s(facts):
        return UsageError(
            _DOING,
            "this is not a k0s cluster: "
            + (
                "its nodes run " + ", ".join(sorted({n.version for n in nodes or ()}))
                if nodes
                else f"there is no k0s on {facts.controller}"
            ),
            remedy="what is judged here is k0s's own way from the API server to metrics-server",
        )
    if (
        nodes is None
        and not any(facts.on(each) for each in registry.PROBES if isinstance(each, MachineProbe))
        and not answers(facts)
    ):
        reading = facts.reading(workloads.NODES.name)
        said = (reading.error or reading.stderr.strip()) if reading is not None else ""
        said = said[:_MOST_SAID] or "no answer"
        return InfrastructureError(_DOING, f"nothing could be read: {said}")
    return None


def _not_k0s(facts: Facts) -> bool:
    versions = {node.version for node in facts.one(workloads.NODES) or () if node.version}
    if versions:
        return not any("k0s" in version for version in versions)
    looked = [each for (name, _), each in facts.readings.items() if name == "k0s_version"]
    return bool(looked) and all(
        each.returncode == _NOT_FOUND
        or (bool(each.returncode) and any(word in each.stderr for word in _NO_PROGRAM))
        for each in looked
    )
