"""What `redact` leaves alone, that it is stable, keeps JSON whole, and takes linear time."""

from __future__ import annotations

import json
import secrets
import tarfile
import time
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.evidence.redaction import redact
from tests.unit.fuzz import examples
from tests.unit.paths import DEMO, RECORDINGS

# Conditions and messages as measured on k0s v1.32.3+k0s.0 with the docker provider.
MEASURED = """\
False FailedDiscoveryCheck failing or missing response from \
https://10.110.84.73:443/apis/metrics.k8s.io/v1beta1: \
Get "https://10.110.84.73:443/apis/metrics.k8s.io/v1beta1": context deadline exceeded \
(Client.Timeout exceeded while awaiting headers)
net/http: request canceled while waiting for connection \
(Client.Timeout exceeded while awaiting headers)
dial tcp 10.110.84.73:443: connect: connection refused
True Passed all checks passed
error: Metrics API not available
error: metrics not available yet
Error from server (ServiceUnavailable): the server is currently unable to handle the request \
(get nodes.metrics.k8s.io)
Error: failed to read config: error unmarshaling JSON: while decoding JSON: json: \
unknown field "enabled"
konnectivity_network_proxy_server_ready_backend_connections 2
e06554c0fbc117c7792673e536297c3e792eefcb20457289ef5b02894ce85b2f
""".splitlines()


@pytest.mark.parametrize("text", MEASURED)
def test_what_clusters_say_of_their_state_is_untouched(text):
    assert redact(text) == text
    assert redact(json.dumps({"message": text})) == json.dumps({"message": text})


def test_digests_uids_and_names_are_untouched():
    digest = secrets.token_hex(32)
    for text in (
        digest,
        f"registry.example:5000/metrics-server@sha256:{digest}",
        f"{digest}  k0s-v1.32.3+k0s.0-amd64",
        f"{digest} *k0sctl-linux-amd64\n{digest} *k0sctl-linux-arm64\n",
        f'"uid": "{uuid.uuid4()}"',
        f"metrics-server-{secrets.token_hex(5)}-{secrets.token_hex(3)[:5]}",
        f"event node{secrets.randbelow(90) + 10}.{secrets.token_hex(8)}",
        f"containerd://{digest}",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + secrets.token_hex(20),
        "/var/lib/k0s/containerd/io.containerd.grpc.v1.cri/sandboxes/" + digest,
    ):
        assert redact(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "--token-file=/etc/k0s/k0stoken",
        "--token-auth-file=/x --tls-private-key-file=/var/lib/k0s/pki/server.key",
        "--service-account-signing-key-file=/var/lib/k0s/pki/sa.key",
        "automountServiceAccountToken: false",
        '"automountServiceAccountToken": true',
        "serviceAccountToken:\n  audience: system:konnectivity-server",
        '"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}',
        '"secret":{"defaultMode":420,"secretName":"x"}',
        '{"token":null,"password":""}',
        "authorization:\n  mode: Webhook",
        "--authorization-mode=Node,RBAC",
        "Failed to validate authentication token, err:lookup failed",
        "invalid bearer token: expired",
        "Unauthorized: bearer authentication is needed",
        "tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token",
        "token: /var/run/secrets/kubernetes.io/serviceaccount/token",
        "password: $(PASSWORD)",
        "Authorization: Bearer <masked>",
        "docker run -u 1000:1000 image",
        "https://172.31.77.10:6443/version",
        "ssh vagrant@172.31.77.11 key: value",
        "kubectl create token --help",
        # The volume of a pod as k0s writes it; only the name of the volume speaks of a token.
        '"volumes":[{"name":"konnectivity-agent-token","projected":{"sources":[]}}]',
        # So do its arguments; the token is in a file.
        '["--token-path=/var/run/secrets/tokens/konnectivity-agent-token", "--next"]',
        '["--x=konnectivity-agent-token", "next", "token", "next"]',
        '{"args": ["--cluster-id", "konnectivity-agent-token", "next"]}',
        "public key, keyboard, monkey=banana, keyring: x",
        # What the rules once took for an option of curl's, and for an issuer's mark.
        "sh -c 'date -u +%Y-%m-%dT%H:%M:%S.%NZ'",
        "node-csr-BciSIwW5yCJ96TxA24wdUFidFcBaxHvTMm8sw6YgDss",
    ],
)
def test_words_that_only_speak_of_secrets_are_untouched(text):
    assert redact(text) == text


fragments = st.sampled_from(
    [
        *['"', "'", "\\", "\\n", '\\"', "\n", " ", ":", "=", ",", "{", "}", "[", "]", "@", "://"],
        *["token", "password", "secret", "auth", "value", "name", "Bearer ", "Authorization"],
        *["--token ", "https_proxy", "http://u:p", "-----BEGIN RSA PRIVATE KEY-----"],
        *["-----END RSA PRIVATE KEY-----", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "H4sIAAAAAAAA/1234"],
        *["eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2ln", "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVk", "ş", "İ"],
        *["AKIA1234567890ABCDEF", "redacted", "[redacted: token]", "redacted-password", "A" * 64],
    ]
)
texts = st.lists(fragments | st.text(max_size=6), max_size=14).map("".join)
documents = st.recursive(
    texts | st.none() | st.booleans() | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=examples(10), deadline=None)
@given(texts)
def test_redacting_twice_is_redacting_once(text):
    once = redact(text)
    assert redact(once) == once


@settings(max_examples=examples(10), deadline=None)
@given(documents, st.sampled_from([None, 2]), st.booleans())
def test_json_stays_json_at_any_depth(document, indent, ascii_only):
    text = json.dumps({"top": document}, indent=indent, ensure_ascii=ascii_only)
    json.loads(redact(text))
    nested = json.dumps({"log": text})
    json.loads(redact(nested))
    for line in redact(f"{nested}\n{nested}\n").splitlines():
        json.loads(line)


# Each is a pattern's worst case: its beginning over and over, its end never or far away.
WORST = {
    "base64": "Ab3/" * 8,
    "begin": "-----BEGIN PRIVATE KEY-----",
    "end": "-----END PRIVATE KEY-----",
    "begin escaped": "-----BEGIN PRIVATE KEY-----\\n",
    "backslashes": "\\",
    "quotes": 'password:"',
    "single quotes": "password='",
    "names": "token ",
    "assignments": "secret=",
    "pairs": "password value ",
    "jwt": "eyJ",
    "dotted jwt": "eyJhbGci.",
    "urls": "://a:",
    "proxies": "_proxy=a:",
    "gzip": "H4sIA",
    "bearer": "bearer ",
    "authorization": "authorization:",
    "hash": "$6$",
    "lines": "A" * 64 + "\n",
    "escaped lines": "A" * 64 + "\\n",
    "json": '{"name":"x","uid":"0e8a"},',
    "users": "--user ",
    "spaces": " ",
    "dots": "a.",
    "paths": "password=/var/",
    "keys": "key=key=",
    "prose": "pass pass:",
    "arrows": "password => ",
    "blocks": "password:\n- ",
    "lists": "passwords: [",
    "elements": "<password>",
    "turned pairs": "value: x\n name: ",
    "programs": "mysql -p ",
    "programs in JSON": '"mysql","-p",',
    "items": "redis-cli\n- ",
    "pipes": "echo x | ",
    "databases": "a:b@tcp(",
    "parameters": "&sig=",
    "cookies": "cookie: a=b; ",
    "digests": "authorization: digest a=b, ",
    "secrets": "kind: Secret\ndata:\n  a: b\n",
    "secrets in JSON": '"kind":"Secret","data":{',
    "secrets in a line": "stringData: a: b ",
    "lines of keys": "aB3" * 21 + 'a "\nx',
    "prefixes": "Nov 28 10:11:12 h k0s[1]: password:\n",
    "ends behind prefixes": 'x msg="AAAA"\n-----END PRIVATE KEY-----\n',
    "access keys": "AKIAIOSFODNN7EXAMPLE ",
    "rows": "a:1234:b:c:d ",
    "other letters": "İpassword ",
}


def test_json_that_nests_deeper_than_python_calls_is_redacted_as_text():
    deep = "[" * 700 + '{"password": "hunter2hunter2"}' + "]" * 700
    assert redact(deep) == deep.replace("hunter2hunter2", "[redacted: password]")


def texts_of(name: str, text: str) -> list[str]:
    """What a recorder redacts by itself: a line of JSON, or a piece."""
    return text.split("\n") if name.endswith(".jsonl") else [text]


def test_the_bundle_for_a_first_look_is_as_its_redaction_would_leave_it():
    with tarfile.open(DEMO) as bundle:
        pieces = {member.name: bundle.extractfile(member) for member in bundle}
        changed = [
            name
            for name, piece in pieces.items()
            if piece is not None
            for text in texts_of(name, piece.read().decode())
            if text != redact(text)
        ]
    assert changed == []


@pytest.mark.parametrize(
    "path",
    sorted(path for path in RECORDINGS.rglob("*") if path.suffix in {".log", ".txt", ".yaml"}),
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_recorded_logs_and_files_are_as_their_redaction_would_leave_them(path):
    assert redact(path.read_text()) == path.read_text()


def seconds(text: str) -> float:
    # Processor time, because other work on the machine says nothing about this function.
    began = time.process_time()
    redact(text)
    return time.process_time() - began


@pytest.mark.parametrize("kind", WORST)
def test_the_time_grows_with_the_length_and_not_with_its_square(kind):
    def line(length: int, attempt: int) -> str:
        # Each is another one: the last texts are remembered.
        return f"{attempt} " + WORST[kind] * (length // len(WORST[kind]))

    def grows_with_the_length(attempt: int) -> bool:
        short, long = (seconds(line(length, attempt)) for length in (1_000, 8_000))
        # Eight times the length takes eight times as long; with its square it would be sixty-four.
        return long < 24 * max(short, 0.001)

    # One of several: what else the host does only ever adds to it.
    assert any(grows_with_the_length(attempt) for attempt in range(3))


def test_a_line_of_1_mb_with_a_secret_in_it_is_done_in_seconds():
    line = "Ab3/" * 125_000 + ' "password": "hunter2hunter2" ' + "x y " * 125_000
    began = time.process_time()
    redacted = redact(line)
    assert time.process_time() - began < 4
    assert "hunter2" not in redacted
