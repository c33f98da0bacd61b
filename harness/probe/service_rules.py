"""What a machine's packet filters make of one ClusterIP: kube-proxy's rules, and other people's.

Linux has three places for them, and each tool shows its own only: iptables with its older backend
(legacy), iptables with nftables below it (nft), and tables of nftables itself. Packets pass all.
Nothing is loaded for a look: the older backend is asked only where the kernel has it already.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.evidence.reading import Reading
from harness.probe.core import Probe, TargetProbe, require_success

_PROGRAM = r"""
address=$1
pgrep -x kube-proxy >/dev/null && echo 'runs kube-proxy'
# The rules that name the address, and those of the chains that they lead to.
follow() {
  awk -v address=" -d $address/32 " -v backend="$1" '
    $1 == "-A" { line[++n] = $0; chain[n] = $2
      for (i = 3; i < NF; i++) if ($i == "-j" || $i == "-g") to[n] = $(i + 1)
      if (index($0, address)) hit[n] = 1 }
    END {
      for (round = 0; round < 4; round++)
        for (i = 1; i <= n; i++) {
          if (chain[i] in wanted && chain[i] !~ /^KUBE-MARK-/) hit[i] = 1
          if (i in hit) wanted[to[i]] = 1
        }
      for (i = 1; i <= n; i++) if (i in hit) print backend, line[i]
    }'
}
saved() {
  for tool in iptables-$1-save /var/lib/k0s/bin/xtables-$1-multi; do
    command -v "$tool" >/dev/null || continue
    case $tool in *-multi) tool="$tool iptables-save" ;; esac
    echo "asked $1"
    $tool -t nat 2>/dev/null | follow "$1"
    return
  done
}
[ -e /proc/sys/net/ipv4/conf/kube-ipvs0 ] && echo 'mode ipvs'
nft list tables 2>/dev/null | grep -qx 'table ip kube-proxy' && echo 'mode nftables'
saved nft
grep -qx nat /proc/net/ip_tables_names 2>/dev/null && saved legacy
nft list ruleset 2>/dev/null | awk -v address="$address" '
  $1 == "table" { table = $2 " " $3; next }
  table == "ip nat" || table == "ip kube-proxy" { next }
  $1 == "chain" { chain = $2 }
  { for (i = 1; i <= NF; i++) {
      word = $i
      gsub(/[,{}]/, "", word)
      if (word == address) {
        sub(/^[[:space:]]+/, "")
        print "table", table, chain ": " $0
        next } } }'
true
"""
_RULE = re.compile(r"-A (\S+) .*")
_TO = re.compile(r"--to-destination (\S+)")
_TARGET = re.compile(r"-[jg] (\S+)")
_PORT = re.compile(r"--dport (\d+)")
# kube-proxy's own chains, and the network providers' that k0s brings.
_OWN = ("KUBE-", "cali-")
_DECIDES = {"DNAT", "DROP", "REJECT", "REDIRECT", "RETURN", "ACCEPT", "NETMAP"}


@dataclass(frozen=True)
class ServiceRules:
    """The rules in force for a ClusterIP on one machine.

    `proxy` is whether a kube-proxy runs there; `asked` whether its rules could be read, which are
    iptables' own only.
    `leads_to` are the addresses that kube-proxy's own rules translate to, each with its port;
    `foreign` are rules of somebody else, with the place that they are in.
    """

    machine: str
    proxy: bool
    asked: bool
    leads_to: frozenset[str] = frozenset()
    foreign: tuple[str, ...] = ()


def parse(reading: Reading) -> ServiceRules:
    """Return the rules of kube-proxy and those of others."""
    port = reading.probe.rpartition(":")[2]
    leads_to = set()
    foreign = []
    lines = require_success(reading).splitlines()
    for line in lines:
        place, _, rule = line.partition(" ")
        if place == "table" and not rule.split()[2].startswith(_OWN):
            foreign.append(f"nftables, {rule}")
        found = _RULE.match(rule)
        if place not in ("nft", "legacy") or found is None:
            continue
        wanted = _PORT.search(rule)
        if wanted is not None and wanted.group(1) != port and " -d " in rule:
            continue
        target, to = _TARGET.search(rule), _TO.search(rule)
        if found.group(1).startswith(_OWN):
            if to is not None:
                leads_to.add(to.group(1))
        elif target is not None and target.group(1) in _DECIDES:
            foreign.append(f"iptables-{place} -t nat: {rule}")
    return ServiceRules(
        reading.where,
        "runs kube-proxy" in lines,
        "asked nft" in lines and not any(line.startswith("mode ") for line in lines),
        frozenset(leads_to),
        tuple(foreign),
    )


PROBE = TargetProbe("service_rules", parse, sudo=True)


def look(machine: str, address: str, port: int) -> Probe[ServiceRules]:
    """Return the look at the rules of `address:port` on a machine."""
    argv = ("sh", "-c", _PROGRAM, PROBE.name, address)
    return PROBE.on(machine, f"{address}:{port}", argv)
