"""What a host's hypervisors are: KVM, libvirt, VirtualBox. Pure: texts in, facts out.

`harness.host.facts` reads the texts; the commands they come from stand here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit
from xml.etree import ElementTree as ET

from harness.host.texts import Answer

# Where KVM is, which processors it needs the word of, and VirtualBox's file of allowed networks.
KVM_DEVICE = "/dev/kvm"
CPU_FILE = "/proc/cpuinfo"
RANGES_FILE = "/etc/vbox/networks.conf"
FILES = (CPU_FILE, RANGES_FILE)
# A flag of Intel's, of AMD's: with neither, /dev/kvm may open and yet no stock kernel starts on it
# (measured: a paravirtual KVM makes a VM and a processor, its BIOS runs, Linux never does).
VIRTUALISATION_FLAGS = {"vmx", "svm"}
# VirtualBox's own, since 6.1.28, where RANGES_FILE is not there.
DEFAULT_RANGES = (IPv4Network("192.168.56.0/21"),)
PLUGIN = "vagrant-libvirt"
# What libvirt says to a user whom it does not serve: its socket is closed to them, polkit says no,
# or it cannot ask polkit because there is no system bus.
DENIALS = ("permission denied", "authentication", "access denied", "system bus")
# Where a plugin's gem is described: the system's package, and a user's own below Vagrant's home.
# Vagrant itself needs 1.5 s to list its plugins, and makes its home if there is none.
SYSTEM_PLUGINS = "/usr/share/rubygems-integration"
USER_PLUGINS = "gems"
PLUGIN_PATTERN = f"*/specifications/{PLUGIN}-*.gemspec"

# What a URI may be made of: ASCII that is seen. A user or a host in it, and a file it names.
_VISIBLE = re.compile(r"[!-~]+")
_LOGIN = re.compile(r"[0-9A-Za-z_:][0-9A-Za-z_.:@+-]*")
_PLAIN_PATH = re.compile(r"/[0-9A-Za-z_./@+~ -]*")
# libvirt's words for a connection (libvirt.org/uri.html) that labs have a use for.
_PATH_WORDS = {"keyfile", "netcat", "socket"}
_SWITCH_WORDS = {"no_verify", "no_tty"}


def virsh(uri: str, *arguments: str) -> tuple[str, ...]:
    """Return the command line that asks the libvirt at `uri`."""
    return ("virsh", "--connect", uri, *arguments)


def version_command(uri: str) -> tuple[str, ...]:
    """Return what is asked first; the rest only where it answers."""
    return virsh(uri, "version")


def pool_info_command(uri: str, pool: str) -> tuple[str, ...]:
    """Return what says a storage pool's state and free bytes."""
    return virsh(uri, "pool-info", "--bytes", pool)


def pool_path_command(uri: str, pool: str) -> tuple[str, ...]:
    """Return what says where a storage pool is."""
    return virsh(uri, "pool-dumpxml", pool)


def capabilities_command(uri: str) -> tuple[str, ...]:
    """Return what says whether libvirt has KVM, and its host's processor."""
    return virsh(uri, "capabilities")


def memory_command(uri: str) -> tuple[str, ...]:
    """Return what says the memory of libvirt's host."""
    return virsh(uri, "nodememstats")


class Kvm(Enum):
    """Whether machines can use the processor's virtualisation, and why not."""

    USABLE = "KVM is usable"
    ABSENT = "there is no /dev/kvm"
    NO_MODULE = "there is no /dev/kvm, although the processor shows vmx or svm"
    DENIED = "this user may not open /dev/kvm"
    PARAVIRTUAL = (
        "/dev/kvm opens, but the processor shows neither vmx nor svm (nested virtualisation is off)"
    )
    UNKNOWN = "libvirt does not say whether it has KVM"


@dataclass(frozen=True)
class Pool:
    """A storage pool of libvirt; path and free MiB are known of one that is active."""

    name: str
    active: bool
    path: str = ""
    free_mib: int | None = None


@dataclass(frozen=True)
class Libvirt:
    """The libvirt at `uri` as virsh sees it.

    `problem` is virsh's own words where it did not answer. `kvm` says whether it offers KVM on a
    processor that can carry a stock kernel, `available_mib` what memory its host has left (None:
    not asked, libvirt's host is this one). `pool` is None where there is none of that name.
    """

    uri: str
    pool_name: str
    reachable: bool = False
    problem: str = ""
    version: str = ""
    qemu: str = ""
    pool: Pool | None = None
    offers_kvm: bool = False
    flags: frozenset[str] = frozenset()
    architecture: str = ""
    available_mib: int | None = None

    @property
    def host(self) -> str:
        """The other host that machines would run on, or nothing."""
        return remote_host(self.uri)

    @property
    def denied(self) -> bool:
        """Whether libvirt runs on this host and this user may not talk to it."""
        return not self.host and any(word in self.problem.lower() for word in DENIALS)

    @property
    def login(self) -> str:
        """What ssh calls that host, such as `ann@big` or `-p 2222 ann@big`."""
        parts = urlsplit(self.uri)
        port = f"-p {parts.port} " if parts.port else ""
        return f"{port}{parts.username}@{self.host}" if parts.username else f"{port}{self.host}"


def remote_host(uri: str) -> str:
    """Return the other host in `uri`; nothing where it is this one, or the URI cannot be read."""
    try:
        return urlsplit(uri).hostname or ""
    except ValueError:
        return ""


def uri_problem(uri: str) -> str:
    """Return why a lab cannot use the libvirt at `uri`, or nothing; asks nobody."""
    try:
        parts = _split(uri)
        words = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        # A port that is none raises.
        user, host, _ = unquote(parts.username or ""), parts.hostname or "", parts.port
    except ValueError:
        return "it is not a URI"
    if parts.scheme not in {"qemu", "qemu+ssh"}:
        return "a lab's machines run on qemu, here or on a host reached by SSH"
    if parts.path != "/system":
        return "only the system's libvirt can make networks"
    if (parts.scheme == "qemu+ssh") != bool(host):
        return "another host is reached by SSH, and this one is not"
    if any(word and not _LOGIN.fullmatch(word) for word in (user, host)):
        # ssh takes what begins with a dash for an option, and some of its options run programs.
        return "its user or host is none that ssh could be told"
    return _words_problem(words)


def _split(uri: str) -> SplitResult:
    """Return the parts of a URI; raises `ValueError` for what is none."""
    if not _VISIBLE.fullmatch(uri):
        # Python's parser would drop line breaks and tabs without a word, and virsh does not.
        raise ValueError("it has more in it than can be seen")
    return urlsplit(uri)


def _words_problem(words: Mapping[str, Sequence[str]]) -> str:
    unknown = sorted(set(words) - _PATH_WORDS - _SWITCH_WORDS)
    if unknown:
        # libvirt has more, and one of them (`command`) names a program to be run.
        return f"a lab does without {unknown[0]}="
    for name in _PATH_WORDS & set(words):
        if not all(_PLAIN_PATH.fullmatch(value) for value in words[name]):
            # Of `keyfile=name` vagrant-libvirt thinks ~/.ssh/name, and virsh a file in this folder.
            return f"its {name} is no absolute path"
    return ""


def libvirt_from(
    uri: str,
    pool_name: str,
    *,
    version: Answer | None,
    pool_info: Answer | None,
    pool_xml: Answer | None,
    capabilities: Answer | None,
    memory: Answer | None,
) -> Libvirt:
    """Interpret what virsh said; None is a question that was not asked."""
    if version is None:
        return Libvirt(uri, pool_name, problem="it was not asked")
    if version.status != 0:
        return Libvirt(uri, pool_name, problem=_last_words(version))
    library = re.search(r"^Using library: libvirt (\S+)", version.stdout, flags=re.MULTILINE)
    qemu = re.search(r"^Running hypervisor: QEMU (\S+)", version.stdout, flags=re.MULTILINE)
    architecture, flags, offers = parse_capabilities(capabilities.stdout if capabilities else "")
    return Libvirt(
        uri,
        pool_name,
        reachable=True,
        version=library.group(1) if library else "",
        qemu=qemu.group(1) if qemu else "",
        pool=pool_from(pool_name, pool_info, pool_xml),
        offers_kvm=offers,
        flags=flags,
        architecture=architecture,
        available_mib=parse_memory(memory.stdout) if memory and remote_host(uri) else None,
    )


def pool_from(name: str, info: Answer | None, described: Answer | None) -> Pool | None:
    """Return the pool that virsh described, None where it knows none of that name."""
    if info is None or info.status != 0:
        return None
    state = re.search(r"^State:\s+(\w+)", info.stdout, flags=re.MULTILINE)
    free = re.search(r"^Available:\s+(\d+)$", info.stdout, flags=re.MULTILINE)
    return Pool(
        name,
        active=state is not None and state.group(1) == "running",
        path=parse_pool_path(described.stdout) if described else "",
        free_mib=int(free.group(1)) // 2**20 if free else None,
    )


def kvm_from(
    libvirt: Libvirt, *, there: bool, opens: bool, flags: frozenset[str], architecture: str
) -> Kvm:
    """Return whether machines can use KVM: `there` and `opens` are of this host's /dev/kvm."""
    if libvirt.host:
        if not libvirt.reachable:
            return Kvm.UNKNOWN
        if not can_virtualise(libvirt.architecture, libvirt.flags):
            return Kvm.PARAVIRTUAL if libvirt.offers_kvm else Kvm.ABSENT
        return Kvm.USABLE if libvirt.offers_kvm else Kvm.NO_MODULE
    capable = can_virtualise(architecture, flags)
    if not there:
        return Kvm.NO_MODULE if capable and architecture == "x86_64" else Kvm.ABSENT
    if not capable:
        return Kvm.PARAVIRTUAL
    # libvirt's machines run as a user of its own: what this user may do with the device is not
    # what they may.
    return Kvm.USABLE if opens or libvirt.offers_kvm else Kvm.DENIED


def keeps_qemu_out(access: str) -> bool:
    """Return whether a device with this mode and group, such as `crw------- root`, is root's alone.

    libvirt's machines run as a user of libvirt's own, who is in the group kvm.
    """
    mode, _, group = access.partition(" ")
    everybody, its_group = mode[7:9] == "rw", mode[4:6] == "rw"
    return bool(access) and not everybody and not (its_group and group != "root")


def parse_cpu_flags(cpuinfo: str) -> frozenset[str]:
    """Return the first processor's flags in /proc/cpuinfo."""
    found = re.search(r"^flags\s*:(.*)$", cpuinfo, flags=re.MULTILINE)
    return frozenset(found.group(1).split()) if found else frozenset()


def parse_capabilities(text: str) -> tuple[str, frozenset[str], bool]:
    """Return architecture, processor features and whether KVM is offered for that architecture."""
    try:
        # It is what the user's own libvirt said, over the user's own connection.
        root = ET.fromstring(text)  # noqa: S314
    except ET.ParseError:
        return "", frozenset(), False
    architecture = root.findtext("./host/cpu/arch") or ""
    features = frozenset(feature.get("name", "") for feature in root.iterfind("./host/cpu/feature"))
    offers = any(
        domain.get("type") == "kvm"
        for arch in root.iterfind("./guest/arch")
        if arch.get("name") == architecture
        for domain in arch.iterfind("domain")
    )
    return architecture, features, offers


def parse_memory(text: str) -> int:
    """Return what is free or can be freed in `virsh nodememstats`, in MiB; its unit is KiB."""
    found = re.findall(r"^(free|buffers|cached)\s*:\s*(\d+) KiB$", text, flags=re.MULTILINE)
    return sum(int(amount) for _, amount in found) // 1024


def parse_pool_path(text: str) -> str:
    """Return where a pool's volumes are, from `virsh pool-dumpxml`, or nothing."""
    found = re.search(r"<path>(.*?)</path>", text)
    return found.group(1) if found else ""


def parse_plugin(gemspec: str) -> str:
    """Return the version in the name of the plugin's gemspec, or nothing."""
    found = re.search(rf"{PLUGIN}-(\d[\w.]*)\.gemspec$", gemspec)
    return found.group(1) if found else ""


def parse_ranges(text: str | None) -> tuple[IPv4Network, ...]:
    """Return the IPv4 networks that VirtualBox allows for host-only networks.

    `text` is RANGES_FILE, None where it is not there. Its lines begin with `*`, and replace the
    default altogether; what VirtualBox could not read is left out.
    """
    if text is None:
        return DEFAULT_RANGES
    words = [
        word
        for line in text.splitlines()
        if line.strip().startswith("*")
        for word in line.strip()[1:].split()
    ]
    return tuple(network for word in words if (network := _network(word)) is not None)


def _network(word: str) -> IPv4Network | None:
    try:
        return IPv4Network(word, strict=False)
    except ValueError:
        return None


def can_virtualise(architecture: str, flags: frozenset[str]) -> bool:
    """Whether a processor with `flags` can carry a stock kernel through KVM."""
    return architecture != "x86_64" or bool(flags & VIRTUALISATION_FLAGS)


def _last_words(said: Answer) -> str:
    """Return virsh's reason without its `error: `; a changed host key's warning has many lines."""
    lines = [line.removeprefix("error: ") for line in said.stderr.strip().splitlines()]
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in said.stderr:
        return "remote host identification has changed"
    reasons: Sequence[str] = [
        line for line in lines if line != "failed to connect to the hypervisor"
    ]
    return reasons[-1] if reasons else "virsh said nothing"
