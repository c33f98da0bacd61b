"""Whether what was looked at can be diagnosed at all; sentences for where it cannot."""

from __future__ import annotations

import re

from harness.base.errors import HarnessError, InfrastructureError, UsageError
from harness.diagnose.facts import Facts
from harness.diagnose.hops_backend import answers
from harness.probe import apiservice, objects, registry, workloads
from harness.probe.core import API, MachineProbe, refused_by_sudo

_DOING = "Diagnosing"
# The shell's and sudo's words for a program that is not there.
_NO_PROGRAM = ("command not found", "not found", "No such file or directory")
_NOT_FOUND = 127
# How kubectl says that the user may not look.
_FORBIDDEN = "Error from server (Forbidden)"
_USER = re.compile(r'User "([^"]{1,253})" cannot ')
_RIGHT = re.compile(
    r'cannot (?P<verb>[a-z]{1,20}) (?:resource|path) "(?P<what>[^"]{1,253})"'
    r'(?: in API group "(?P<group>[^"]{0,253})")?(?: in the namespace "(?P<namespace>[^"]{1,63})")?'
)
_DECISIVE = {
    each.name
    for each in (
        apiservice.PROBE,
        workloads.PODS,
        workloads.SERVICE,
        workloads.ENDPOINTS,
        workloads.NODES,
        objects.DEPLOYMENT,
    )
}
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
    lacking = _lacking_rights(facts)
    if lacking:
        return InfrastructureError(
            _DOING,
            f"{_who(facts)} may not look at what a diagnosis rests on; it lacks the rights to "
            + ", ".join(lacking),
            remedy="name a kubeconfig that has them, such as k0s's own admin.conf (k0s kubeconfig "
            "admin on a controller), or let a cluster administrator bind a ClusterRole with them",
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
        return InfrastructureError(
            _DOING,
            f"nothing could be read: {said}",
            remedy="see that kubectl get nodes works from here, or on a controller, and look again",
        )
    return None


def _lacking_rights(facts: Facts) -> tuple[str, ...]:
    """Return the rights that looks lacked, where one of them is decisive."""
    refused = _refused(facts)
    if not any(look in _DECISIVE for look in refused):
        return ()
    found: dict[str, None] = {}
    for said in refused.values():
        for right in _RIGHT.finditer(said):
            group = f".{right['group']}" if right["group"] else ""
            inside = f" in {right['namespace']}" if right["namespace"] else ""
            found[f"{right['verb']} {right['what']}{group}{inside}"] = None
    return tuple(found) or ("see what was asked",)


def _who(facts: Facts) -> str:
    """Return whom the API server refused, as it names them."""
    named = (_USER.search(said) for said in _refused(facts).values())
    return next((each.group(1) for each in named if each is not None), "this kubeconfig's user")


def _refused(facts: Facts) -> dict[str, str]:
    """Return, by look, what the API server said of those that it forbade."""
    return {
        name: each.stderr[-_MOST_SAID:]
        for (name, where), each in facts.readings.items()
        if where == API and each.returncode not in (None, 0) and _FORBIDDEN in each.stderr
    }


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
