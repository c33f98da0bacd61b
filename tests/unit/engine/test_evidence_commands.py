"""What is collected: every command only reads, no Secret is asked for, one piece costs no other."""

from __future__ import annotations

import base64
import json
import re
import secrets
import subprocess
from pathlib import Path

import pytest

from harness.base.completed import CommandFailedError, Completed
from harness.base.errors import InfrastructureError
from harness.engine.collect import collect
from harness.engine.evidence_commands import MANIFESTS, OF_API, of_machine, only_way_out
from harness.evidence.recorder import Recorder

ROLES = ("controller", "worker", "controller+worker", "single")
EVERY = [
    pytest.param(wanted.argv, id=f"{role}-{name}")
    for role in ROLES
    for name, wanted in of_machine(role).items()
] + [pytest.param(wanted.argv, id=f"api-{name}") for name, wanted in OF_API.items()]
# What would change something, as a word of a command line; and where secrets lie as files.
CHANGES = re.compile(
    r"\b(?:rm|mv|cp|tee|touch|mkdir|chmod|kill|pkill|modprobe|flush|del|delete|add|replace|set|"
    r"apply|create|patch|edit|label|annotate|drain|cordon|scale|restart|start|stop|enable|disable|"
    r"truncate|sed -i)\b|(?<![0-9&])>(?!&2|/dev/null)"
)
SECRETS = re.compile(r"/pki|/token|kubeconfig|\.conf\b|admin\.conf|/etc/shadow|\.ssh")


class Machine:
    """A machine that answers every command with one text, or not at all."""

    def __init__(self, name, text="", error=None, status=0, stderr=""):
        self.name = name
        self.asked = []
        self._answer = (text, stderr, status)
        self._error = error

    def run(self, argv, *, deadline, sudo, **_):
        assert sudo
        return self._ended(argv, deadline)

    def _ended(self, argv, deadline):
        self.asked.append((tuple(argv), deadline))
        if self._error is not None:
            raise self._error
        text, stderr, status = self._answer
        return Completed(tuple(argv), status, text, stderr, 0.0)


class Api(Machine):
    def run(self, args, *, deadline, **_):
        return self._ended(args, deadline)


@pytest.fixture
def recorder(tmp_path):
    return Recorder(tmp_path / "run")


def text_of(recorder):
    files = [each for each in recorder.folder.rglob("*") if each.is_file()]
    return "\n".join(each.read_text() for each in files)


@pytest.mark.parametrize("argv", EVERY)
def test_no_command_changes_anything(argv):
    command = " ".join(word for word in argv if not word.startswith("k0s-harness"))
    assert CHANGES.search(command) is None, CHANGES.search(command)


@pytest.mark.parametrize("argv", EVERY)
def test_no_command_reads_secrets(argv):
    command = " ".join(argv)
    assert SECRETS.search(command) is None, SECRETS.search(command)
    kinds = argv[1].split(",") if argv[0] == "get" else []
    assert not any("secret" in kind or kind == "all" for kind in kinds)


def test_the_words_that_these_tests_look_for_are_found():
    assert CHANGES.search("ip route add 10.96.0.0/12")
    assert CHANGES.search("echo x > /etc/hosts")
    assert CHANGES.search("systemctl restart k0scontroller")
    assert not CHANGES.search("ip route show 2>/dev/null")
    assert SECRETS.search("cat /var/lib/k0s/pki/admin.conf")


@pytest.mark.parametrize("script", [each for each in EVERY if each.values[0][0] == "sh"])
def test_every_script_is_one_for_a_shell(script):
    subprocess.run(["sh", "-n", "-c", *script[2:]], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("role", "there", "not_there"),
    [
        ("controller", "k0scontroller.log", "k0sworker.log"),
        ("worker", "k0sworker.log", "k0scontroller.log"),
        ("controller+worker", "metrics-server.log", "k0sworker.log"),
        ("single", "konnectivity-server-metrics.txt", "k0sworker.log"),
    ],
)
def test_a_machine_is_asked_what_its_role_can_answer(role, there, not_there):
    assert there in of_machine(role)
    assert not_there not in of_machine(role)


def test_all_that_was_asked_for_is_there():
    both = {*of_machine("controller"), *of_machine("worker")}
    assert both >= {
        "time.txt",
        "versions.txt",
        "processes.txt",
        "routes.txt",
        "rules.txt",
        "sockets.txt",
        "addresses.txt",
        "links.txt",
        "conntrack.txt",
        "manifests.txt",
        "konnectivity-server-metrics.txt",
        "konnectivity-agent-metrics.txt",
        "metrics-server.log",
        "konnectivity-agent.log",
    }


# --- one piece costs no other ---------------------------------------------------------------------


def test_a_dead_machine_costs_its_own_pieces_and_says_why(recorder):
    dead = Machine("worker0", error=InfrastructureError("Reaching worker0 over SSH", "no route"))
    alive = Machine("controller0", "something\n")
    collect(
        {"worker0": dead, "controller0": alive},
        {"worker0": "worker", "controller0": "controller"},
        Api("api", "{}"),
        recorder,
    )
    missing = recorder.missing_pieces
    assert set(missing) == {f"nodes/worker0/{name}" for name in of_machine("worker")}
    assert set(missing.values()) == {"Reaching worker0 over SSH: no route"}
    for name in of_machine("controller"):
        assert (recorder.folder / "nodes/controller0" / name).read_text() == "something\n"
    assert (recorder.folder / "kube/nodes.json").read_text() == "{}"


def test_every_piece_has_its_bound_and_slow_machines_a_longer_one(recorder):
    machine = Machine("controller0", "x")
    collect({"controller0": machine}, {"controller0": "controller"}, None, recorder, pace=3.0)
    assert {deadline for _, deadline in machine.asked} == {15.0}
    assert len(machine.asked) == len(of_machine("controller"))


def test_a_piece_that_is_not_there_has_the_words_of_the_machine_as_its_reason(recorder):
    words = "neither /proc/net/nf_conntrack nor the program conntrack is here"
    machine = Machine("worker0", status=1, stderr=f"noise\n{words}\n")
    collect({"worker0": machine}, {"worker0": "worker"}, None, recorder)
    assert recorder.missing_pieces["nodes/worker0/conntrack.txt"] == (
        f"Collecting on worker0: {words}"
    )


def test_a_command_that_fails_without_a_word_is_named_itself(recorder):
    machine = Machine("worker0", status=3)
    collect({"worker0": machine}, {"worker0": "worker"}, None, recorder)
    assert "exit status 3: ip rule show" in recorder.missing_pieces["nodes/worker0/rules.txt"]


def test_a_command_that_hangs_is_a_piece_that_is_missing(recorder):
    hung = CommandFailedError("Collecting", Completed(("ss",), -9, "", "", 5.0), timed_out=True)
    machine = Machine("worker0", error=hung)
    collect({"worker0": machine}, {"worker0": "worker"}, None, recorder)
    assert "no end after 5s" in recorder.missing_pieces["nodes/worker0/sockets.txt"]


def test_of_the_api_servers_metrics_only_its_way_out_is_kept():
    metrics = (
        "# HELP apiserver_egress_dialer_dial_failure_count Dial failure count\n"
        'apiserver_egress_dialer_dial_failure_count{protocol="grpc",stage="proxy"} 3\n'
        'aggregator_unavailable_apiservice{name="v1beta1.metrics.k8s.io"} 1\n'
        "etcd_request_duration_seconds_count 12\n"
    )
    assert only_way_out(metrics) == "".join(metrics.splitlines(keepends=True)[:3])


# --- secrets --------------------------------------------------------------------------------------


@pytest.fixture
def manifests(tmp_path):
    """What the machine itself prints of a folder of generated manifests."""
    folder = tmp_path / "manifests"
    (folder / "metricserver").mkdir(parents=True)
    (folder / "metricserver/metric_server.yaml").write_text("kind: Deployment\nname: metrics\n")

    def printed(name, text):
        (folder / name).write_text(text)
        argv = ["sh", "-c", MANIFESTS, "k0s-harness", str(tmp_path)]
        ended = subprocess.run(argv, check=True, capture_output=True, text=True)
        return ended.stdout

    return printed


@pytest.mark.parametrize(
    "form",
    [
        "kind: Secret\ndata: {{password: {0}}}\n",
        "kind: 'Secret'\ndata: {{password: {0}}}\n",
        'kind: "Secret"\ndata: {{password: {0}}}\n',
        "kind:\n  Secret\ndata: {{password: {0}}}\n",
        "kind: !!str Secret\ndata: {{password: {0}}}\n",
        '{{"kind":"Secret","data":{{"password":"{0}"}}}}',
        '{{"kind" : "\\u0053ecret","data":{{"password":"{0}"}}}}',
        'kind: "\\x53ecret"\ndata: {{password: {0}}}\n',
        "kind: SecretList\nitems: [{{data: {{password: {0}}}}}]\n",
        "kind: ConfigMap\n---\nkind: Secret\ndata: {{password: {0}}}\n",
        "kind: List\nitems:\n- kind: Secret\n  data: {{password: {0}}}\n",
    ],
)
def test_a_manifest_that_may_hold_a_secret_is_listed_and_never_leaves_the_machine(manifests, form):
    secret = base64.b64encode(secrets.token_bytes(12)).decode()
    printed = manifests("mine.yaml", form.format(secret))
    assert secret not in printed
    assert "=== ./mine.yaml: may hold a Secret, so it was not read" in printed
    assert "=== ./metricserver/metric_server.yaml\nkind: Deployment\nname: metrics\n" in printed


def test_a_manifest_that_grants_access_to_secrets_is_read(manifests):
    rule = "kind: ClusterRole\nrules:\n- resources: [secrets, configmaps]\n  verbs: [get]\n"
    assert rule in manifests("rbac.yaml", rule)


def test_a_long_manifest_is_cut(manifests):
    printed = manifests("long.yaml", "x" * 300_000)
    assert 100_000 < len(printed) < 110_000


def test_pieces_of_k0ss_own_folder_are_taken_from_where_its_owner_put_it():
    texts = {name: " ".join(each.argv) for name, each in of_machine("controller", "/srv").items()}
    assert {name for name, text in texts.items() if text.endswith("k0s-harness /srv")} == {
        *("manifests.txt", "versions.txt", "iptables.txt")
    }
    assert not any("/var/lib/k0s" in text for text in texts.values())


def test_a_folder_that_is_not_there_is_a_reason():
    argv = ["sh", "-c", MANIFESTS, "k0s-harness", "/nowhere"]
    ended = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert ended.returncode != 0
    assert "/nowhere" in ended.stderr


PLANTED = {
    "k0s.yaml": "spec:\n  storage:\n    kine:\n      dataSource: mysql://k0s:{}@tcp(db:3306)/k0s\n",
    "k0s-status.json": '{{"ClusterConfig": {{"spec": {{"x": {{"password": "{}"}}}}}}}}',
    "k0scontroller.service": '[Service]\nEnvironment="HTTPS_PROXY=http://user:{}@proxy:3128"\n',
    "k0sworker.service": "ExecStart=/usr/local/bin/k0s worker --token {}\n",
    "processes.txt": "  61    10 /usr/bin/backup --password={} --host db\n",
    "k0scontroller.log": 'time="now" msg="joining" token={}\n',
    "manifests.txt": "=== ./helm/values.yaml\nadmin:\n  password: {}\n",
    "metrics-server.log": "=== /var/log/pods/x\nE1123 Authorization: Bearer {}\n",
    "network.log": "=== /var/log/pods/y\nlevel=info msg=up api_key={}\n",
    "konnectivity-agent.log": "=== /var/log/pods/z\nI1123 proxy http://u:{}@proxy:1\n",
    "versions.txt": "k0s version: v1\nDB_PASSWORD={}\n",
}


@pytest.mark.parametrize("piece", PLANTED)
def test_a_secret_in_a_piece_is_gone_before_it_is_written(recorder, piece):
    secret = "p7" + secrets.token_hex(12)
    text = PLANTED[piece].format(secret)
    controller = Machine("controller0", text)
    worker = Machine("worker0", text)
    roles = {"controller0": "controller", "worker0": "worker"}
    collect({"controller0": controller, "worker0": worker}, roles, None, recorder)
    holders = [role for role in roles.values() if piece in of_machine(role)]
    assert holders
    written = text_of(recorder)
    assert "redacted" in written
    assert secret not in written


def test_secrets_in_objects_of_the_api_are_gone(recorder):
    secret = "p7" + secrets.token_hex(12)
    item = {
        "kind": "Pod",
        "spec": {"containers": [{"env": [{"name": "DB_PASSWORD", "value": secret}]}]},
    }
    config = {
        "kind": "ConfigMap",
        "data": {"kubeconfig": f"users:\n- user:\n    token: {secret}\n"},
    }
    collect({}, {}, Api("api", json.dumps({"items": [item, config]})), recorder)
    written = text_of(recorder)
    assert "redacted" in written
    assert secret not in written
    json.loads(Path(recorder.folder, "kube/workloads.json").read_text())


def test_a_secret_in_the_reason_why_a_piece_is_missing_is_gone(recorder):
    secret = "p7" + secrets.token_hex(12)
    machine = Machine("worker0", status=1, stderr=f"curl: http://user:{secret}@proxy:1 refused\n")
    collect({"worker0": machine}, {"worker0": "worker"}, None, recorder)
    assert secret not in text_of(recorder)
    assert "refused" in text_of(recorder)
