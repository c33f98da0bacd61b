"""What of the nodes' own state, and of the store's, keeps the way from working."""

from __future__ import annotations

from collections.abc import Mapping

from harness import cni
from harness.base.places import with_port
from harness.diagnose import findings
from harness.diagnose.facts import Facts, once
from harness.probe import machines, nodestate, service_rules, workloads
from harness.probe.service_rules import ServiceRules

# A kubelet renews its Lease every 10 s; a node that does not is taken for lost after 50 s, which is
# looked at every 5 s (kube-controller-manager v1.32). A busy cluster needs some more.
_SILENT_SECONDS = 90.0
# Per cent, beyond which etcd's next file may not find room.
_MOST_FULL = 95


def alarm(facts: Facts) -> tuple[str, str] | None:
    """Return the controller whose etcd has an alarm, and which; None where none was seen."""
    for controller, store in facts.on(nodestate.STORE).items():
        if store.alarm:
            return controller, store.alarm
    return None


@once
def silent(facts: Facts) -> Mapping[str, float]:
    """Return, of the Ready nodes of which nothing was heard for too long to be so, the seconds."""
    leases = facts.one(nodestate.LEASES) or {}
    found = {}
    for node in facts.one(workloads.NODES) or ():
        lease = leases.get(node.name)
        if lease is None or not node.ready:
            continue
        # The kubelet writes its own machine's time.
        clock = facts.on(machines.CLOCK).get(facts.machine_of(node.name) or "")
        if clock is None or not facts.at:
            continue
        seconds = facts.at + clock.ahead - lease.renewed
        if seconds > max(_SILENT_SECONDS, 2.0 * lease.seconds):
            found[node.name] = round(seconds)
    return found


def all_silent(facts: Facts) -> bool:
    """Whether nothing was heard of any node, all of which are Ready: they cannot all be gone."""
    gone = silent(facts)
    return bool(gone) and set(gone) == {node.name for node in facts.one(workloads.NODES) or ()}


def not_forwarding(facts: Facts) -> Mapping[str, str]:
    """Return, by machine, the setting for which it passes on no packet of its pods."""
    found = {}
    for machine, kernel in facts.on(nodestate.KERNEL).items():
        if kernel.forwards is False:
            found[machine] = "net.ipv4.ip_forward"
            continue
        wanted = cni.bridges() | {
            each.interface
            for each in facts.on(machines.ADDRESSES).get(machine, ())
            if each.address in _internal(facts)
        }
        still = [name for name in kernel.still if name in wanted]
        if still:
            found[machine] = f"net.ipv4.conf.{still[0]}.forwarding"
    return found


@once
def untold(facts: Facts) -> bool | None:
    """None where a machine answered and did not say what its kernel does, while others did."""
    said = set(facts.on(nodestate.KERNEL))
    answered = set(facts.workers) - set(facts.lost_machines)
    return None if said and answered - said else False


def strict(facts: Facts) -> Mapping[str, tuple[str, ...]]:
    """Return, by machine, the interfaces whose rp_filter may drop what comes another way."""
    return {name: each.strict for name, each in facts.on(nodestate.KERNEL).items() if each.strict}


def full(facts: Facts) -> Mapping[str, str]:
    """Return, by machine, how full a table of connections is that takes no more.

    Connections end and begin all the time: of one that has some room now the kernel says when it
    had none. That kernel may be the host's of several machines, each with a table of its own.
    """
    found = {}
    for name, each in facts.on(nodestate.KERNEL).items():
        ago = facts.on(nodestate.DROPPED).get(name)
        lately = ago is not None and ago < findings.RECENT_SECONDS
        if each.full or (lately and each.half_full):
            said = f", and a packet was dropped for that {ago:.0f} s ago" if lately else ""
            found[name] = f"{each.connections} of {each.most_connections}{said}"
    return found


def untranslated(facts: Facts) -> Mapping[str, ServiceRules | None]:
    """Return, by worker that gets to the pod and not to the ClusterIP, the rules it has for that.

    Where several pods stand behind the ClusterIP, the others may be the ones that are not reached.
    """
    pod = findings.pod_target(facts)
    service = findings.service_target(facts)
    if pod is None or service is None or len(facts.one(workloads.ENDPOINTS) or ()) != 1:
        return {}
    rules = facts.to(service_rules.PROBE)
    place = with_port(*service)
    found = {}
    for worker in facts.workers:
        for reaches in (findings.reaches, findings.agent_reaches):
            if reaches(facts, worker, *pod[:2]) and reaches(facts, worker, *service) is False:
                found[worker] = rules.get((worker, place))
    return found


def wrong_rules(facts: Facts, rules: ServiceRules) -> str:
    """Return what is wrong with a machine's rules, empty where that is not seen."""
    if rules.foreign:
        return f"a rule of somebody else takes it: {rules.foreign[0]}"
    if not rules.asked:
        return ""
    if not rules.leads_to:
        runs = "kube-proxy runs and has" if rules.proxy else "no kube-proxy runs, and there is"
        return f"{runs} no rule for it"
    behind = {with_port(each.address, each.port) for each in facts.one(workloads.ENDPOINTS) or ()}
    if not behind & rules.leads_to:
        return f"kube-proxy's rules lead to {', '.join(sorted(rules.leads_to))}, which is gone"
    return ""


def full_disks(facts: Facts) -> tuple[str, ...]:
    """Return a sentence for each controller that has hardly any room left for k0s's folder."""
    return tuple(
        f"the disk of {name} is {each.disk} % full"
        for name, each in facts.on(nodestate.STORE).items()
        if each.disk is not None and each.disk > _MOST_FULL
    )


def _internal(facts: Facts) -> frozenset[str]:
    return frozenset(a for node in facts.one(workloads.NODES) or () for a in node.addresses)
