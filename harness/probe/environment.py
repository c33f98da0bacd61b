"""The proxy that the API server's environment names, and for which addresses it is used.

k0s hands its own environment on to what it starts (pkg/supervisor/supervisor.go:363-408 at
v1.32.3+k0s.0), and the aggregator dials as Go's `http.ProxyFromEnvironment` says, through
konnectivity or not. The rules are those of golang.org/x/net/http/httpproxy: for `https` the first
of `HTTPS_PROXY` and `https_proxy` that is not empty, and of `NO_PROXY` and `no_proxy` likewise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from harness.evidence.reading import Reading
from harness.probe.core import Asked, MachineProbe, UnreadableError, require_success

# Of an environment only these are read: the rest may hold anything. A proxy's user and password
# stay on the machine.
_SCRIPT = """\
pid=$(pgrep -xo kube-apiserver) || exit 3
environment=$(tr '\\0' '\\n' <"/proc/$pid/environ") || exit 4
printf '%s\\n' "$environment" | grep -iE '^(https|no)_proxy=' |
    sed -E 's#=([a-z]+://)?.*@#=\\1#'
"""
_NOT_RUNNING = 3


@dataclass(frozen=True)
class ProxySettings:
    """What a process's environment says of proxies for `https`; `proxy` is empty without one."""

    proxy: str = ""
    no_proxy: str = ""

    def takes(self, address: str, port: int) -> bool:
        """Whether a request to `https://address:port` goes to the proxy."""
        target = ip_address(address)
        if not self.proxy or target.is_loopback:
            return False
        entries = (each.strip() for each in self.no_proxy.split(","))
        return not any(_names(each, target, port) for each in entries if each)


def parse(reading: Reading) -> ProxySettings:
    """Return the settings; raises `UnreadableError` when no kube-apiserver runs."""
    if reading.returncode == _NOT_RUNNING:
        raise UnreadableError(f"no kube-apiserver runs on {reading.where}")
    lines = (line.partition("=") for line in require_success(reading).splitlines())
    variables = {name: value for name, _, value in lines}
    return ProxySettings(
        proxy=_first(variables, "HTTPS_PROXY", "https_proxy"),
        no_proxy=_first(variables, "NO_PROXY", "no_proxy"),
    )


def _first(variables: Mapping[str, str], *names: str) -> str:
    return next((variables[name] for name in names if variables.get(name)), "")


def _names(entry: str, address: IPv4Address | IPv6Address, port: int) -> bool:
    """Whether an entry of NO_PROXY means the address: any, a network, or an address and port."""
    if entry == "*":
        return True
    try:
        if "/" in entry:
            return address in ip_network(entry, strict=False)
        host, own_port = _host_and_port(entry)
        return address == ip_address(host) and own_port in ("", str(port))
    except ValueError:
        # A domain, which means no address.
        return False


def _host_and_port(entry: str) -> tuple[str, str]:
    """Return both parts of an entry; an IPv6 address with a port stands in brackets."""
    host, bracket, rest = entry.removeprefix("[").partition("]")
    if bracket:
        return host, rest.removeprefix(":")
    if entry.count(":") > 1:
        return entry, ""
    host, _, port = entry.partition(":")
    return host, port


PROBE = MachineProbe(
    "apiserver_environment", ("sh", "-c", _SCRIPT), parse, Asked.CONTROLLERS, sudo=True
)
