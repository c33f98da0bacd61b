"""What k0sctl and kubectl say."""

from __future__ import annotations

import re

from harness.base.sayings.row import REINSTALLED, Of, Row

# k0sctl refuses a key that it does not know; these came later than its v0.4 (tags up to v0.32.2).
_KEYS_SINCE = {
    "files": "v0.6.0",
    "os": "v0.8.0",
    "hooks": "v0.9.0",
    "hostname": "v0.11.0",
    "dirPerm": "v0.12.0",
    "dst": "v0.12.0",
    "noTaints": "v0.13.0",
    "dynamicConfig": "v0.13.0",
    "reset": "v0.15.0",
    "dataDir": "v0.15.1",
    "openSSH": "v0.16.0",
    "versionChannel": "v0.17.0",
    "k0sDownloadURL": "v0.17.6",
    "options": "v0.24.0",
    "wait": "v0.24.0",
    "drain": "v0.24.0",
    "concurrency": "v0.24.0",
    "evictTaint": "v0.24.0",
    "kubeletRootDir": "v0.25.0",
    "workerDisruptionPercent": "v0.25.0",
    "k0sInstallPath": "v0.26.0",
    "data": "v0.27.0",
    "useExistingK0s": "v0.28.0",
}
_UNKNOWN_KEY = re.compile(r"line (\d+): field (\S+) not found in (?:type|struct) (\S+)")
_TWICE = re.compile(r"line (\d+): field (\S+) already set in (?:type|struct) (\S+)")
_NO_SUCH_VALUE = re.compile(r"line (\d+): (cannot unmarshal .*?)(?=\s+line \d+:|$)", re.MULTILINE)

_JOURNAL = (
    "look on the controller: `journalctl -u k0scontroller -n 100` has its last error, and"
    " `k0s kubectl get --raw='/readyz?verbose'` says which part is not ready"
)
_KUBECONFIG = "take the kubeconfig anew (`k0s kubeconfig admin` on a controller)"

ROWS: tuple[Row, ...] = (
    Row(
        Of.K0SCTL,
        r"^(?:panic|PANIC): (?P<what>[^\n]+)",
        "k0sctl crashed: panic: {what}",
        "it is a fault of k0sctl's own: try a newer one; its log has what to report",
    ),
    Row(
        Of.K0SCTL,
        r"knownhosts: key mismatch|host key mismatch",
        "another host key than the known one is shown",
        REINSTALLED + "take the old one out of the file that SSH_KNOWN_HOSTS names, or of"
        " ~/.ssh/known_hosts: `ssh-keygen -R HOST`",
    ),
    Row(
        Of.K0SCTL,
        r"no usable authentication method found",
        "k0sctl has no key to log in with: neither the file of keyPath nor an ssh-agent has one",
        "name a private key that is there as keyPath, or `ssh-add` it",
    ),
    Row(
        Of.K0SCTL,
        r"unable to authenticate, attempted methods \[(?P<how>[^\]]*)\]",
        "the host lets the user in with no key that was offered (tried: {how})",
        "name the user and the key whose public half is in that user's authorized_keys",
    ),
    Row(
        Of.K0SCTL,
        r"dial tcp (?P<place>\S+): (?:connect: )?(?P<why>[^\n\"]+)",
        "{place} cannot be reached: {why}",
        "look whether address and port are right, sshd runs there and no firewall is in between",
    ),
    Row(
        Of.K0SCTL,
        r"failed to start ssh multiplexing control master",
        "ssh did not connect",
        "try it by hand: `ssh USER@ADDRESS true`",
    ),
    Row(
        Of.K0SCTL,
        r"join token - check networking|connectivity check failed|failed to connect from worker",
        "the workers do not reach the API server that their join token names",
        "look at spec.api.address and externalAddress, and whether TCP 6443 and 9443 are open",
    ),
    Row(
        Of.K0SCTL,
        r"/readyz responded with \"(?P<answer>[^\"\n]+)\"",
        "the controller's API server is not ready: /readyz answers {answer}",
        _JOURNAL,
    ),
    Row(
        Of.K0SCTL,
        r"failed to wait for kube api|kubernetes not ready|/readyz responded with|failed to reach"
        r" kube api",
        "the controller's API server does not answer",
        _JOURNAL,
    ),
    Row(
        Of.K0SCTL,
        r"failed to look up k0s version online",
        "k0sctl asked the internet for the newest k0s, and had no answer",
        "write spec.k0s.version",
    ),
    Row(
        Of.K0SCTL,
        r"(?P<what>[^\n:]{1,200}): [Nn]o space left on device",
        "a disk there is full: {what}",
        "`df -h` there shows which",
    ),
    Row(
        Of.K0SCTL,
        r"can't perform a downgrade: (?P<running>\S+) > (?P<wanted>[^\s\"]+)",
        "k0s {running} runs there, which is newer than {wanted} in spec.k0s.version",
        "write {running} or a newer one: k0s has no way back",
    ),
    Row(
        Of.K0SCTL,
        r"(?P<what>(?:hostname|machine id|privateAddress)(?: \S+)?) is not unique:"
        r" (?P<host>[^\s\"]+)",
        "two machines have one {what}: {host} is the second",
        "give each its own: `hostnamectl set-hostname NAME`, the key privateAddress, or, for a"
        " machine that was cloned, `rm /etc/machine-id && systemd-machine-id-setup` and a restart",
    ),
    Row(
        Of.K0SCTL,
        r"another instance of k0sctl is currently operating on the host, delete (?P<path>\S+)",
        "another k0sctl works on a machine, or was killed there less than 30 s ago",
        "wait for its end, or half a minute",
    ),
    Row(
        Of.K0SCTL,
        r"is configured as k0s (?P<wanted>\S+) but is already running as (?P<running>\S+) - role",
        "a machine runs k0s as {running} already, and k0sctl makes no {wanted} of it",
        "write the role that it has, or apply once with `reset: true` on it",
    ),
    Row(
        Of.KUBECTL,
        r"proxyconnect tcp: (?P<why>[^\n\"]+)",
        "the proxy of this shell does not let kubectl through: {why}",
        "unset HTTPS_PROXY for this command, or name the API server's host in NO_PROXY",
    ),
    Row(
        Of.KUBECTL,
        r"getting credentials: exec: (?P<why>[^\n\"]+)",
        "the program that the kubeconfig takes its user from did not give one: {why}",
        "try that program by itself, or take a kubeconfig that needs none (`k0s kubeconfig admin`"
        " on a controller)",
    ),
    Row(
        Of.KUBECTL,
        r"error loading config file \"(?P<file>[^\"\n]+)\": (?P<why>[^\n]+)",
        "{file} is no kubeconfig: {why}",
        _KUBECONFIG,
    ),
    Row(
        Of.KUBECTL,
        r"^\* (?P<why>unable to read [^\n]+)|context was not found for specified context:"
        r" (?P<context>[^\n]+)",
        "the kubeconfig names what is not there: {why}{context}",
        _KUBECONFIG,
    ),
    Row(
        Of.KUBECTL,
        # kubectl's own default, where no file says another one.
        r"The connection to the server localhost:8080 was refused",
        "the kubeconfig names no API server",
        _KUBECONFIG,
    ),
    Row(
        Of.KUBECTL,
        r"The connection to the server (?P<place>\S+) was refused",
        "nothing listens at {place}, where the kubeconfig has the API server",
        "look whether the kubeconfig is the right one, and k0scontroller runs there",
    ),
    Row(
        Of.KUBECTL,
        r"x509: certificate has expired or is not yet valid: (?P<why>[^\n\"]+)",
        "a certificate on the way to the API server is not valid now: {why}",
        "compare `date` here and on the controller; if both are right, its certificate has expired",
    ),
    Row(
        Of.KUBECTL,
        r"x509: (?P<why>[^\n\"]+)",
        "the API server's certificate is not the one that the kubeconfig expects: {why}",
        _KUBECONFIG,
    ),
    Row(
        Of.KUBECTL,
        r"Unable to connect to the server: dial tcp: lookup (?P<name>\S+?)(?: on \S+)?:"
        r" (?P<why>[^\n]+)",
        "the name {name} of the API server is not known here: {why}",
        "correct the kubeconfig's server, or write the controller's address there",
    ),
    Row(
        Of.KUBECTL,
        r"Unable to connect to the server: (?P<why>http: server gave HTTP response[^\n]*|Forbidden"
        r"|Proxy Authentication Required|Bad Gateway|Bad Request)$",
        "what answers there is no API server: {why}",
        "look whether the kubeconfig's server is the right one; a proxy (HTTPS_PROXY) or a balancer"
        " on the way answers like that",
    ),
    Row(
        Of.KUBECTL,
        r"Unable to connect to the server: (?P<why>[^\n]+)",
        "the API server cannot be reached: {why}",
        "look whether the kubeconfig is the right one, and TCP 6443 of it is open from here",
    ),
    Row(
        Of.KUBECTL,
        r"You must be logged in to the server|Error from server \(Unauthorized\)",
        "the API server does not know the user of the kubeconfig",
        _KUBECONFIG,
    ),
    Row(
        Of.KUBECTL,
        r"\(Forbidden\): .*?(?P<who>User \"[^\"]+\") (?P<what>cannot [^\n]+)",
        "the user of the kubeconfig may not do that: {who} {what}",
        "take an administrator's kubeconfig (`k0s kubeconfig admin`), or give that right by RBAC",
    ),
)


def unknown_keys(text: str) -> tuple[str, str] | None:
    """Return what is wrong with a configuration that k0sctl does not read, and what to do."""
    unknown = _UNKNOWN_KEY.findall(text)
    if unknown:
        names = ", ".join(
            f"{name} (line {line}, in {_place(kind)})" for line, name, kind in unknown
        )
        since = {name: _KEYS_SINCE[name] for _, name, _ in unknown if name in _KEYS_SINCE}
        newer = ", ".join(f"{name} is known since k0sctl {first}" for name, first in since.items())
        others = [name for _, name, _ in unknown if name not in since]
        remedies = [f"{newer}: take that version or a newer one"] if newer else []
        if others:
            remedies.append(
                f"correct {', '.join(others)}, or its place; no k0sctl up to v0.32.2 knows it there"
            )
        return f"this k0sctl does not know the key {names}", "; ".join(remedies)
    twice = _TWICE.findall(text)
    if twice:
        names = ", ".join(f"{name} (line {line}, in {_place(kind)})" for line, name, kind in twice)
        return f"the configuration has a key twice: {names}", "take one of the two out"
    if "yaml:" in text:
        values = "; ".join(f"line {line}: {why}" for line, why in _NO_SUCH_VALUE.findall(text))
        if values:
            return f"the configuration has a value of the wrong kind: {values}", "correct it there"
    return None


def _place(kind: str) -> str:
    """Return the name that people know of k0sctl's type, `cluster.spec` for instance."""
    return kind.strip('"`').removeprefix("cluster.").removeprefix("*")
