"""What virsh prints, as values: XML descriptions and tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from uuid import UUID
from xml.etree import ElementTree as ET

_TABLE_RULE = re.compile(r"^-+$")
_DOMAIN = re.compile(r"(?P<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\s+(?P<name>\S.*)")


@dataclass(frozen=True)
class Domain:
    """A virtual machine as libvirt knows it, running or not."""

    name: str
    uuid: UUID


@dataclass(frozen=True)
class LibvirtNetwork:
    """A network as libvirt knows it, active or not; `bridge` is None for those without one."""

    name: str
    uuid: UUID
    bridge: str | None
    subnets: tuple[IPv4Network, ...]


@dataclass(frozen=True)
class Volume:
    """A disk image in a storage pool."""

    pool: str
    name: str


def parse_network(xml: str) -> LibvirtNetwork | None:
    """Return the network in `virsh net-dumpxml`, None where it is not described as ours are."""
    try:
        root = _parse(xml)
        bridge = root.find("bridge")
        return LibvirtNetwork(
            name=root.findtext("name", ""),
            uuid=UUID(root.findtext("uuid", "")),
            bridge=None if bridge is None else bridge.get("name"),
            subnets=tuple(
                IPv4Interface(
                    f"{ip.get('address')}/{ip.get('netmask') or ip.get('prefix')}"
                ).network
                for ip in root.findall("ip")
                if ip.get("family", "ipv4") == "ipv4"
            ),
        )
    except (ET.ParseError, ValueError):
        return None


def parse_domains(text: str) -> tuple[Domain, ...]:
    """Return the domains in `virsh list --uuid --name`: a UUID and a name on each line.

    A line that is otherwise belongs to a name of somebody's that breaks it.
    """
    lines = (_DOMAIN.fullmatch(line.strip()) for line in text.splitlines())
    return tuple(Domain(line["name"], UUID(line["uuid"])) for line in lines if line)


def parse_disks(xml: str) -> tuple[str, ...]:
    """Return the paths of the disks in `virsh dumpxml`, CD-ROMs left out."""
    disks = _parse(xml).findall("./devices/disk[@device='disk']/source")
    return tuple(path for path in (source.get("file") for source in disks) if path)


def parse_console(xml: str) -> str | None:
    """Return the path of the file that the first serial port of `virsh dumpxml` writes."""
    for port in _parse(xml).findall("./devices/serial"):
        log, source = port.find("log"), port.find("source")
        if log is not None:
            return log.get("file")
        if port.get("type") == "file" and source is not None:
            return source.get("path")
    return None


def parse_volumes(text: str) -> tuple[str, ...]:
    """Return the names in the table of `virsh vol-list`, whose columns are name and path."""
    rows = (line.split() for line in text.splitlines() if line.strip())
    return tuple(
        row[0] for row in rows if row != ["Name", "Path"] and not _TABLE_RULE.match(row[0])
    )


def parse_physical(text: str) -> int | None:
    """Return the bytes after `Physical:` in `virsh vol-info --bytes --physical`."""
    found = re.search(r"^Physical:\s+(\d+)", text, re.MULTILINE)
    return int(found.group(1)) if found else None


def _parse(xml: str) -> ET.Element:
    return ET.fromstring(xml)  # noqa: S314  # from this user's own libvirt daemon
