"""A host with things that are not ours: folders, files and links, and what its engines have.

For tests of removal: `World` is a state folder among strangers' files, `Engine` answers for docker,
virsh, VBoxManage, nft, ip and ssh, does what it is told and notes what that was done to.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from harness.base import locks
from harness.base.completed import CommandFailedError, Completed
from harness.base.run_id import RunId
from harness.base.settings import Settings
from harness.host.inotify import LIMIT_SYSCTL
from harness.lab import claims, isolation, leftovers, orphans
from harness.providers import registry
from harness.providers.docker import sysctls
from harness.providers.libvirt import sweep
from harness.providers.libvirt import virsh as libvirt
from harness.ssh import files as ssh_files
from harness.state import records
from harness.state.networks import host_table
from harness.state.owner import (
    LABEL_RUN,
    LABEL_STATE,
    LABEL_USER,
    Owner,
    current_user,
    machine_name,
)
from harness.testing import FakeClock

NOW = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)
ME = current_user()
# A user whose things root can make.
SOMEBODY = 65534
DEAD, KEPT, THEIRS, ELSEWHERE = (RunId(f"k5-{letter * 6}") for letter in "abcd")
SECRET = "precious\n"  # noqa: S105


_REMOVED = {
    "undefine": "domain",
    "net-destroy": "libvirt network",
    "net-undefine": "libvirt network",
    "vol-delete": "image",
}


@dataclass
class Thing:
    """Something that an engine has; `ours` says whether a run of the world's owner made it."""

    kind: str
    name: str
    ours: bool
    id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    uuid: UUID = field(default_factory=uuid4)
    bridge: str = ""

    def __post_init__(self) -> None:
        self.id = self.id or f"{uuid4().hex}{uuid4().hex}"


class Engine:
    """Every program there is on the host, for all that they have."""

    def __init__(self) -> None:
        self.things: list[Thing] = []
        self.tables: dict[str, str] = {}
        self.gone: list[Thing] = []
        self.wrote: list[str] = []
        self.closed: list[str] = []

    def run(self, argv, *, doing, stdin=None, check=True, **_):
        words = list(argv)
        answer = getattr(self, f"_{words[0].lower()}")(words[1:], stdin)
        code, out, err = (0, answer, "") if isinstance(answer, str) else answer
        done = Completed(tuple(argv), code, out, err, 0.0)
        if check and code:
            raise CommandFailedError(doing, done)
        return done

    def add(self, *things: Thing) -> None:
        self.things += things

    def of(self, kind: str) -> list[Thing]:
        return [thing for thing in self.things if thing.kind == kind]

    def remove(self, kind: str, name: str) -> bool:
        """Remove as the engines do: by name, by id, and by the beginning of an id."""
        found = [
            thing
            for thing in self.of(kind)
            if name == thing.name or (name and thing.id.startswith(name)) or name == str(thing.uuid)
        ]
        for thing in found:
            self.things.remove(thing)
            self.gone.append(thing)
        return bool(found)

    # --- docker ---

    def _docker(self, words, _stdin):
        match words:
            case ["network", "ls", "--quiet", *_] | ["images", *_]:
                return ""
            case ["ps", *options]:
                return self._list("container", options)
            case ["network" | "volume" as kind, "ls", *options]:
                return self._list(kind, options)
            case ["rm", "--force", "--volumes", *ids]:
                return self._remove_all("container", ids)
            case ["network" | "volume" as kind, "rm", *ids]:
                return self._remove_all(kind, ids)
        raise AssertionError(words)

    def _list(self, kind, options):
        (wanted,) = (word for word in options if word.startswith("--filter=label="))
        label, has_value, value = wanted.removeprefix("--filter=label=").partition("=")
        shown = options[options.index("--format") + 1]
        assert shown.startswith("[{{json "), shown
        return "".join(
            json.dumps(
                [
                    thing.name if kind == "volume" else thing.id,
                    thing.name,
                    *(thing.labels.get(each, "") for each in (LABEL_RUN, LABEL_USER, LABEL_STATE)),
                ]
            )
            + "\n"
            for thing in self.of(kind)
            if label in thing.labels and (not has_value or thing.labels[label] == value)
        )

    def _remove_all(self, kind, names):
        missing = [name for name in names if not self.remove(kind, name)]
        return (1, "", f"no such {kind}: {missing}") if missing else ""

    # --- libvirt ---

    def _virsh(self, words, _stdin):
        assert words[:2] == ["--quiet", "--connect"]
        match words[3:]:
            case ["dumpxml", _]:
                return "<domain/>"
            case ["destroy", name]:
                self.gone += [each for each in self.of("domain") if each.name == name]
                return ""
            case [
                ("undefine" | "net-destroy" | "net-undefine" | "vol-delete") as command,
                name,
                *_,
            ]:
                self.remove(_REMOVED[command], name)
                return ""
        return self._virsh_lists(words[3:])

    def _virsh_lists(self, words):
        match words:
            case ["list", *_]:
                return "".join(f"{each.uuid} {each.name}\n" for each in self.of("domain"))
            case ["net-list", *_]:
                return "".join(f"{each.name}\n" for each in self.of("libvirt network"))
            case ["net-dumpxml", name]:
                found = [each for each in self.of("libvirt network") if each.name == name]
                return _network_xml(found[0]) if found else (1, "", "error: Network not found")
            case ["pool-list", *_]:
                return "default\n"
            case ["vol-list", "default"]:
                return "".join(f"{each.name}  /images/{each.name}\n" for each in self.of("image"))
        raise AssertionError(words)

    def _vboxmanage(self, words, _stdin):
        match words:
            case ["list", "vms" | "runningvms"]:
                return "".join(f'"{each.name}" {{{each.uuid}}}\n' for each in self.of("vbox"))
            case ["list", "hostonlyifs"]:
                return "Name:            vboxnet0\nDHCP:  Disabled\nIPAddress:       192.168.56.1\n"
            case ["unregistervm", name, "--delete"] | ["controlvm", name, "poweroff"]:
                self.gone += [each for each in self.of("vbox") if each.name == name]
                return ""
            case ["hostonlyif", "remove", "vboxnet0"]:
                # The one that has the private network of a VirtualBox lab.
                self.gone.append(
                    Thing("interface", "vboxnet0", ours=bool(self.of("virtualbox record")))
                )
                return ""
        raise AssertionError(words)

    # --- the host itself ---

    def _nft(self, words, stdin):
        match words:
            case ["list", "tables"]:
                return "".join(f"table inet {name}\n" for name in self.tables)
            case ["list", "counters", "table", "inet", name]:
                return self.tables[name]
            case ["delete", "table", "inet", name]:
                mark = self.tables.pop(name)
                self.gone.append(Thing("table", name, ours="owner_" in mark))
                return ""
            case ["--file", "-"]:
                self.tables[stdin.split()[2]] = stdin
                return ""
        raise AssertionError(words)

    def _ip(self, words, _stdin):
        if words[:2] == ["-j", "-4"]:
            return "[]"
        raise AssertionError(words)

    def _ssh(self, words, _stdin):
        (path,) = (word.partition("=")[2] for word in words if word.startswith("ControlPath="))
        self.closed.append(path)
        return ""


def _network_xml(thing: Thing) -> str:
    name = thing.name.replace("&", "&amp;").replace("<", "&lt;")
    return f"<network><name>{name}</name><uuid>{thing.uuid}</uuid></network>"


class World:
    """A state folder with a dead lab and a kept one, amid what belongs to others."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings = Settings(root / "state", root / "cache", root / "runs")
        self.labs = self.settings.labs_dir
        self.sockets = root / "tmp"
        self.engine = Engine()
        self.clock = FakeClock(0.0, now=NOW)
        # Paths that may change: this user's runs made them.
        self.own: set[Path] = set()

    def make(self) -> None:
        """Make the files; what is ours is noted in `own`, all else must stay as it is."""
        for name in ("any/dir", "any/dir.ssh", "home/work", "tmp", "locks", "cache", "k5-zzzzzz"):
            (self.root / name).mkdir(parents=True)
            (self.root / name / "file").write_text(SECRET)
        for name in sysctls.NAMES:
            path = self.root / "proc" / name.replace(".", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            # As high as a lab wants it, so that it is not raised.
            path.write_text("1024\n" if name == LIMIT_SYSCTL else "0\n")
        (self.root / "proc" / "kernel" / "core_pattern").write_text("core\n")
        for path in (self.root / "links", self.root / "libvirt-state", self.root / "libvirt-logs"):
            path.mkdir()
        (self.root / "libvirt-logs" / f"{THEIRS}-worker0.log").write_text(SECRET)
        for run_id, kept in ((DEAD, None), (KEPT, NOW.replace(hour=23))):
            self.lab(run_id, kept=kept)
        self._others()

    def owner(self, run_id: RunId) -> Owner:
        return Owner(run_id, ME, self.labs)

    def record(self, run_id: RunId, provider: str = "docker"):
        return records.make_record(
            run_id=run_id,
            scenario="konnectivity-off",
            provider=provider,
            labs_dir=self.labs,
            machines=("controller0", "worker0"),
            private=IPv4Network("192.168.56.0/24"),
            nat=IPv4Network("172.30.64.0/24"),
            created=NOW,
            libvirt_uri=registry.provider(provider).connection(),
        )

    def lab(self, run_id: RunId, *, kept: datetime | None = None) -> None:
        """Make a lab of ours, with all that a run makes."""
        record = self.record(run_id)
        lock = records.claim(record)
        if kept is not None:
            records.keep(record, kept)
        lock.release()
        ssh_files.make_socket_dir(run_id, record.folder)
        self.own |= {record.folder, record.socket_dir}
        for name in record.machines:
            machine = machine_name(run_id, name)
            self.engine.add(Thing("container", machine, ours=True, labels=record.labels))
        for network in (record.networks.nat, record.networks.private):
            self.engine.add(Thing("network", network.name, ours=True, labels=record.labels))
        volume = Thing("volume", f"{uuid4().hex}{uuid4().hex}", ours=True, labels=record.labels)
        self.engine.add(volume)
        mark = record.mark_of(record.nft_table)
        isolation.install_on_host(self.engine, record.nft_table, record.networks, mark=mark)

    def _others(self) -> None:
        """Make another user's live lab, and one of this user's in another state folder."""
        for run_id, user, labs in (
            (THEIRS, "somebody", "/home/somebody/labs"),
            (ELSEWHERE, ME, str(self.root / "home" / "labs")),
        ):
            labels = {LABEL_RUN: run_id, LABEL_USER: user, LABEL_STATE: labs}
            self.engine.add(
                Thing("container", f"{run_id}-worker0", ours=False, labels=labels),
                Thing("network", f"{run_id}-nat", ours=False, labels=labels),
                Thing("volume", f"{uuid4().hex}{uuid4().hex}", ours=False, labels=labels),
                Thing("domain", f"{run_id}-worker1", ours=False),
                Thing("libvirt network", f"{run_id}-private", ours=False),
                Thing("image", f"{run_id}-worker1.img", ours=False),
            )
            self.engine.tables[host_table(run_id)] = "counter of another {}"
            sockets = self.sockets / f"{run_id}.ssh"
            sockets.mkdir(mode=0o700)
            (sockets / "lab").write_text(f"{labs}/{run_id}")
            (sockets / "worker0").write_text(SECRET)
        self.engine.add(
            Thing("container", "postgres", ours=False, labels={}),
            Thing("domain", "desktop", ours=False),
            Thing("libvirt network", "default", ours=False),
            Thing("image", "desktop.qcow2", ours=False),
        )

    def snapshot(self) -> dict[str, tuple[object, ...]]:
        """Return what is there of others, by path: kind, mode, owner, content."""
        found: dict[str, tuple[object, ...]] = {}
        state = self.settings.state_dir
        may_change = {*self.own, self.labs, state, state / "host-sysctls.json"}
        spared = {str(path) for path in may_change}
        inside = {str(path) for path in (*self.own, self.root / "locks")}
        for folder, names, files in os.walk(self.root):
            if folder in inside:
                continue
            for name in (*names, *files):
                path = f"{folder}/{name}"
                if path not in spared:
                    found[path] = _what(path)
        return found

    @contextlib.contextmanager
    def lived_in(self) -> Iterator[None]:
        """Make the world what the harness sees."""
        with pytest.MonkeyPatch.context() as patch:
            locks_in = self.root / "locks"
            for module in (locks, leftovers, claims):
                patch.setattr(module, "lock_path", lambda name: locks_in / f"{name}.lock")
            patch.setattr(ssh_files, "SOCKETS", self.sockets)
            patch.setattr(sysctls, "PROC", self.root / "proc")
            patch.setattr(orphans, "PROCESSES", self.root / "processes")
            patch.setattr(sweep, "LINKS", self.root / "links")
            patch.setattr(libvirt, "NETWORK_STATE", self.root / "libvirt-state")
            patch.setattr(libvirt, "DOMAIN_LOGS", self.root / "libvirt-logs")
            patch.setattr(leftovers.shutil, "which", lambda name: f"/usr/bin/{name}")
            patch.setenv("TMPDIR", str(self.sockets))
            patch.setenv("HOME", str(self.root / "home"))
            patch.delenv("LIBVIRT_DEFAULT_URI", raising=False)
            yield


def _what(path: str) -> tuple[object, ...]:
    # Thousands of worlds are looked at, and pathlib takes several times as long.
    status = os.lstat(path)
    content: object = None
    if stat.S_ISLNK(status.st_mode):
        content = os.readlink(path)  # noqa: PTH115
    elif stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:  # noqa: PTH123
            content = file.read()
    return (stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode), status.st_uid, content)
