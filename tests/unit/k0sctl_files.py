"""k0sctl.yaml files by chance, from the grammar of what k0sctl accepts, and near misses.

Every address is in 127.0.0.0/8. A file is made of a seed, so that a finding can be made again.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEhuX4Vxdp3tzGkN2O2eXvXDxo1uEcrZxIYiN6eTuSJc"
VARIABLES = {"SET": "127.0.0.77", "USER_SET": "ops", "EMPTY": "", "PORT_SET": "2244"}

TEXTS = ["ops", "'ops'", '"ops"', "!!str ops", "core", "root", "~", "null", '""', "a.b-c", "22"]
USERS = [
    *TEXTS[:7],
    *TEXTS[-1:],
    "$USER_SET",
    "${USER_SET}",
    "${NOT_SET:-ops}",
    "${EMPTY:-x}",
    "yes",
]
PORTS = [
    *("22", "2222", "22022", "0", "~", "", "022", "0x16", "22.0", "22.9", "2_2", "+22", "0b10110"),
    *("0o26", "08", "1e3", '!!int "22"', "$PORT_SET", "${PORT_SET}", "${NOT_SET:-2223}", "65535"),
]
BAD_PORTS = [
    "'22'",
    '"22"',
    "-1",
    "65536",
    "abc",
    ".inf",
    "true",
    "2001-01-01",
    "1e400",
    "[22]",
    ".nan",
]
TRUTHS = ["true", "false", "yes", "no", "on", "off", "y", "N", "True", "~", ""]
BAD_TRUTHS = ["'yes'", "1", "0", "truth", "[true]"]
KEYS = [
    "~/.ssh/id",
    "./k",
    "/k",
    "key",
    "~",
    '""',
    "null",
    "'~/a key'",
    "${NOT_SET:=/k}",
    "$HOME/k",
]
ROLES = [
    "controller",
    "worker",
    "controller+worker",
    "'controller'",
    '"worker"',
    "worker",
    "worker",
]
BAD_ROLES = ["master", "Worker", "single", "''", "~", "[worker]", "control plane"]
FLAGS = [
    "--debug",
    "--enable-worker",
    "--enable-worker=true",
    "--enable-worker=false",
    "'--enable-worker false'",
    "--no-taints",
    "--data-dir=/srv/k0s",
    "'--data-dir /srv/k0s'",
    "'--data-dir=\"/srv/k 0s\"'",
    "--data-dir",
    "/srv/k0s",
    "'--disable-components konnectivity-server,metrics-server'",
    "--disable-components=konnectivity-server",
    "--disable-components",
    "konnectivity-server",
    "--kubelet-extra-args='--node-ip=127.0.0.1 --max-pods=330'",
    "'--labels=\"a=b,c=d\"'",
    "--profile=custom",
    '"--kubelet-root-dir=/srv/kubelet"',
    "'--data-dir=''/srv/k0s'''",
]
BAD_FLAGS = ["'--labels=\"a'", "--single", "[--debug]", "{--debug: 1}", "~"]
ADDRESSES = [
    *("127.0.0.300", "node-1", "a.example", "::1", "'2001:db8::1'", '"127.0.1.1"', "127.1"),
    *("$SET", "${SET}", "${NOT_SET:-127.0.0.78}", "${NOT_SET-127.0.0.79}", "${SET:+127.0.0.80}"),
]
BAD_ADDRESSES = [
    "~",
    "",
    "''",
    "'[::1]'",
    "a_b",
    "'127.0.0.1:22'",
    "[127.0.0.1]",
    "$NOT_SET",
    "a b",
]


@dataclass
class Map:
    pairs: list[tuple[str, object]]
    anchor: str = ""


@dataclass
class Seq:
    items: list[object]


class Maker:
    def __init__(self, seed: int, version: tuple[int, ...]) -> None:
        # Where hosts gained `ssh.options` and `localhost: true`, and lost `ssh.hostKey`.
        self.newer = version >= (0, 32)
        self.by = random.Random(seed)  # noqa: S311
        # One mistake in every second file at most, so that both outcomes are common.
        self.miss = self.by.choice([0.0, 0.0, 0.0, 0.01, 0.04])
        self.anchors: list[str] = []
        self.last = 10

    def one(self, good, bad=()):
        if bad and self.by.random() < self.miss * 2:
            return self.by.choice(bad)
        return self.by.choice(good)

    def maybe(self, chance: float) -> bool:
        return self.by.random() < chance

    def address(self):
        if self.maybe(0.75):
            self.last += 1
            return f"127.0.0.{self.last}"
        return self.one(ADDRESSES, BAD_ADDRESSES)

    def keys(self, pairs):
        """The keys of a mapping, perhaps in another order, one misspelt, one twice."""
        pairs = [pair for pair in pairs if pair is not None]
        if self.maybe(0.3):
            self.by.shuffle(pairs)
        if pairs and self.maybe(self.miss):
            key, value = self.by.choice(pairs)
            pairs.append(
                (self.by.choice([key, key.upper(), key + "s", key[1:], f"'{key}'"]), value)
            )
        return Map(pairs)

    def some(self, chance, key, good, bad=()):
        return (key, self.one(good, bad)) if self.maybe(chance) else None

    def ssh(self, depth=0):
        found = self.keys(
            [
                ("address", self.address()),
                self.some(0.6, "user", USERS),
                self.some(0.5, "port", PORTS, BAD_PORTS),
                self.some(0.4, "keyPath", KEYS),
                ("bastion", self.ssh(depth + 1)) if self.maybe(0.2) and depth < 3 else None,
                self.some(0.02, "bastion", ["~", "null", "NULL"]),
                None if self.newer else self.some(0.05, "hostKey", [f"'{HOST_KEY}'", "~"]),
                ("options", self.options()) if self.newer and self.maybe(0.2) else None,
            ]
        )
        return self.anchored(found)

    def anchored(self, found: Map) -> Map:
        if self.anchors and self.maybe(0.2):
            merged: object = f"*{self.by.choice(self.anchors)}"
            if self.maybe(0.2):
                merged = Seq([f"*{self.by.choice(self.anchors)}" for _ in range(2)])
            at = 0 if self.maybe(0.7) else self.by.randint(0, len(found.pairs))
            found.pairs.insert(at, ("<<", merged))
        if self.maybe(0.3):
            found.anchor = self.by.choice(["a", "b", f"n{len(self.anchors)}"])
            # Known only behind it: inside it would stand for itself.
            self.pending = found.anchor
        return found

    def options(self):
        return self.keys(
            [
                self.some(0.5, "StrictHostKeyChecking", TRUTHS[:6]),
                self.some(0.5, "ServerAliveInterval", ["15", "'15'", "010"]),
                self.some(0.3, "IdentitiesOnly", ["'yes'", "no"]),
            ]
        )

    def openssh(self):
        return self.keys(
            [
                ("address", self.address()),
                self.some(0.5, "user", ["ops", "root"]),
                self.some(0.5, "port", ["22", "2222", "0x16", "~"], BAD_PORTS),
                self.some(0.3, "keyPath", KEYS),
                self.some(0.2, "disableMultiplexing", TRUTHS, BAD_TRUTHS),
                ("options", self.options()) if self.maybe(0.4) else None,
            ]
        )

    def way(self):
        which = self.by.random()
        if which < 0.75:
            return ("ssh", self.ssh())
        if which < 0.9:
            return ("openSSH", self.openssh())
        if which < 0.93:
            if self.newer and self.maybe(0.5):
                return ("localhost", self.one(["true", "yes"], BAD_TRUTHS))
            return ("localhost", Map([("enabled", self.one(["true", "yes"], BAD_TRUTHS))]))
        return (
            "winRM",
            self.keys(
                [
                    ("address", self.address()),
                    self.some(0.5, "user", ["Administrator", "svc"], ["ab"]),
                    ("password", "secret"),
                    self.some(0.5, "port", ["5985", "5986", "~"], BAD_PORTS),
                    self.some(0.5, "useHTTPS", TRUTHS, BAD_TRUTHS),
                ]
            ),
        )

    def file(self):
        return self.keys(
            [
                self.some(0.8, "name", ["a", "b"]),
                self.some(0.9, "data", ["text", '"a\\n"'], ["''", "[a]"]),
                self.some(0.95, "dst", ["/etc/a"]),
                self.some(0.3, "dstDir", ["/etc"]),
                self.some(0.5, "perm", ["0644", "'0600'", '"0755"', "420"], ["'600'", "0", "0o9"]),
            ]
        )

    def host(self, number: int):
        return self.keys(
            [
                ("role", "controller" if number == 0 else self.one(ROLES, BAD_ROLES)),
                self.way() if not self.maybe(self.miss / 2) else None,
                self.way() if self.maybe(self.miss / 4) else None,
                self.some(0.15, "reset", TRUTHS, BAD_TRUTHS),
                self.some(0.1, "noTaints", ["false", "no", "~"], ["true", "1"]),
                self.some(0.1, "privateAddress", ["10.0.0.1", "::1", "~"], ["10.0.0.1/24", "eth0"]),
                self.some(0.1, "privateInterface", ["eth1", "1"]),
                self.some(0.15, "dataDir", ["/srv/k0s", "/srv/k0s/", "~"]),
                self.some(0.1, "kubeletRootDir", ["/srv/kubelet"]),
                self.some(0.1, "k0sInstallPath", ["/opt/k0s", "~"]),
                self.some(0.1, "os", ["flatcar", "debian", "~"]),
                self.some(0.1, "hostname", ["a", "1"]),
                self.some(0.1, "uploadBinary", TRUTHS, BAD_TRUTHS),
                self.some(0.05, "useExistingK0s", TRUTHS),
                ("environment", self.keys([("A", "true"), ("B", "1"), self.some(0.1, "C", ["~"])]))
                if self.maybe(0.1)
                else None,
                (
                    "installFlags",
                    Seq([self.one(FLAGS, BAD_FLAGS) for _ in range(self.by.randint(0, 4))]),
                )
                if self.maybe(0.35)
                else None,
                ("files", Seq([self.file()])) if self.maybe(0.08) else None,
                ("hooks", Map([("apply", Map([("before", Seq(["date"]))]))]))
                if self.maybe(0.05)
                else None,
            ]
        )

    def hosts(self):
        found = []
        for number in range(self.by.choice([1, 2, 2, 3, 3, 4])):
            self.pending = ""
            found.append(self.host(number))
            if self.pending:
                self.anchors.append(self.pending)
        return Seq(found)

    def k0s(self):
        config = Map(
            [
                (
                    "spec",
                    Map(
                        [("api", Map([("port", "6443")])), ("telemetry", Map([("enabled", "no")]))]
                    ),
                ),
                ("list", Seq(["1", "~", Map([("a", "b"), self.one([("c", "d")], [("a", "d")])])])),
            ]
        )
        return self.keys(
            [
                (
                    "version",
                    self.one(["1.32.3+k0s.0", "v1.32.3+k0s.0", "1.32"], ["newest", "0.9", "V1"]),
                ),
                self.some(0.2, "versionChannel", ["stable", "latest", "~"], ["newest"]),
                self.some(0.2, "dynamicConfig", TRUTHS, BAD_TRUTHS),
                ("config", config) if self.maybe(0.4) else None,
            ]
        )

    def cluster(self):
        options = self.keys(
            [
                ("wait", Map([("enabled", self.one(TRUTHS, BAD_TRUTHS))])),
                (
                    "drain",
                    Map([("gracePeriod", self.one(["2m0s", "120s", "5"], ["2 min", "true"]))]),
                ),
                ("concurrency", Map([("limit", self.one(["30", "0"], BAD_PORTS))])),
            ]
        )
        return self.keys(
            [
                (
                    "apiVersion",
                    self.one(["k0sctl.k0sproject.io/v1beta1"], ["k0sctl.k0sproject.io/v1beta2"]),
                ),
                (
                    "kind",
                    self.one(
                        ["Cluster", "cluster", "'Cluster'"], ["CLUSTER", "cluster ", "Clusters"]
                    ),
                ),
                self.one([("metadata", Map([("name", "a")])), None, ("metadata", "~")]),
                (
                    "spec",
                    self.keys(
                        [
                            ("hosts", self.hosts()),
                            ("k0s", self.k0s()),
                            ("options", options) if self.maybe(0.2) else None,
                        ]
                    ),
                ),
            ]
        )

    # --- as text

    def text(self, node, level=0, *, flow=False) -> str:
        """Return a node as YAML behind `key:` or `- `, in one line or in lines of its own."""
        pad = "  " * level
        if isinstance(node, str):
            return f" {node}" if node else ""
        flow = flow or self.maybe(0.25)
        anchor = f" &{node.anchor}" if isinstance(node, Map) and node.anchor else ""
        if isinstance(node, Map):
            if flow or not node.pairs:
                inner = ", ".join(
                    f"{key}:{self.text(value, flow=True) or ' ~'}" for key, value in node.pairs
                )
                return f"{anchor} {{{inner}}}"
            lines = [f"\n{pad}{key}:{self.text(value, level + 1)}" for key, value in node.pairs]
            return anchor + "".join(lines)
        if flow or not node.items:
            return (
                f" [{', '.join(self.text(item, flow=True).strip() or '~' for item in node.items)}]"
            )
        return "".join(f"\n{pad}-{self.text(item, level + 1)}" for item in node.items)

    def file_bytes(self) -> bytes:
        cluster = self.cluster()
        text = "\n".join(f"{key}:{self.text(value, 1)}" for key, value in cluster.pairs) + "\n"
        text = self.one(
            [text], [text.replace("  ", "\t", 1), text + "]\n", text + "a\n", "- " + text]
        )
        others = {
            "comment": "# a comment\n",
            "begin": "---\n",
            "config": "apiVersion: k0s.k0sproject.io/v1beta1\nkind: ClusterConfig\nspec: {}\n---\n",
            "pod": "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n---\n",
            "blank": "\n\n---   # here\n",
        }
        before = self.one(
            ["", "", "", *others.values()], ["# a\n---\n", "---\n---\n", "kind: Pod\n---\n"]
        )
        after = self.one(
            ["", "", "---\n", "...\n", "---\n\n", "# end\n"], ["---\n---\n", "--- a\n"]
        )
        if self.maybe(self.miss):
            after = f"---\n{text}"
        text = before + text + after
        if self.maybe(0.1):
            text = text.replace("\n", "\r\n")
        encoding = self.one(["utf-8"] * 12 + ["utf-8-sig", "utf-16-be"])
        if encoding == "utf-16-be":
            return b"\xfe\xff" + text.encode("utf-16-be")
        return text.encode(encoding)


def make(seed: int, version: tuple[int, ...]) -> bytes:
    """Return the file of a seed, with keys of that version of k0sctl."""
    maker = Maker(seed, version)
    if seed % 12 == 0:
        return _json(maker)
    return maker.file_bytes()


def _json(maker: Maker) -> bytes:
    """Return a file as a program writes it."""
    by = maker.by
    hosts = []
    for number in range(by.randint(1, 3)):
        way = {
            "address": f"127.0.0.{number + 1}",
            "user": by.choice(["ops", None, "root"]),
            "port": by.choice([22, 2222, None, "22", 22.0]),
            "keyPath": by.choice(["/k", None, ""]),
            "bastion": None,
        }
        role = by.choice(["controller", "worker"]) if number else "controller"
        hosts.append({"role": role, "ssh": way, "installFlags": by.choice([None, [], ["--debug"]])})
    cluster = {
        "apiVersion": "k0sctl.k0sproject.io/v1beta1",
        "kind": "Cluster",
        "metadata": {"name": "json"},
        "spec": {"hosts": hosts, "k0s": {"version": "v1.32.3+k0s.0", "config": None}},
    }
    return json.dumps(cluster, indent=by.choice([None, 2, "\t"])).encode()
