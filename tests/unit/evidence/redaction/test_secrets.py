"""Every kind of secret, made for real at test time, never leaves `redact`."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import secrets
import string
import textwrap
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from harness.evidence.redaction import redact

_FORMATS = serialization.PrivateFormat


def pem(key, kind=_FORMATS.PKCS8, password=None) -> str:
    encryption = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, kind, encryption).decode()


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
KEYS = {
    "rsa-pkcs8": pem(RSA),
    "rsa-pkcs1": pem(RSA, _FORMATS.TraditionalOpenSSL),
    "rsa-encrypted": pem(RSA, _FORMATS.TraditionalOpenSSL, b"x" * 12),
    "rsa-openssh": pem(RSA, _FORMATS.OpenSSH),
    "ec-sec1": pem(EC, _FORMATS.TraditionalOpenSSL),
    "ec-pkcs8": pem(EC),
    "ed25519-openssh": pem(ED, _FORMATS.OpenSSH),
    "ed25519-pkcs8": pem(ED),
}


def certificate(key=RSA) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kubernetes-admin")])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


CERTIFICATE = certificate()
CLIENT_CERTIFICATE = certificate(EC)


def word(length=24) -> str:
    letters = string.ascii_letters + string.digits
    return "p7" + "".join(secrets.choice(letters) for _ in range(length))


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def jwt() -> str:
    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    claims = {"iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:kube-system:x"}
    head = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = f"{head}.{part(json.dumps(claims).encode())}"
    return (
        f"{body}.{part(hmac.new(secrets.token_bytes(32), body.encode(), hashlib.sha256).digest())}"
    )


def bootstrap_token() -> str:
    letters = string.ascii_lowercase + string.digits
    return (
        "".join(secrets.choice(letters) for _ in range(6))
        + "."
        + "k7z"
        + "".join(secrets.choice(letters) for _ in range(13))
    )


def kubeconfig(user: dict[str, str]) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "k0s",
                    "cluster": {
                        "server": "https://172.31.77.10:6443",
                        "certificate-authority-data": b64(CERTIFICATE),
                    },
                }
            ],
            "users": [{"name": "user", "user": user}],
        }
    )


def join_token() -> str:
    """What `k0s token create` prints: a kubeconfig with a bootstrap token, gzip, base64."""
    return b64(gzip.compress(kubeconfig({"token": bootstrap_token()}).encode(), mtime=0))


def leaked(secret: str, text: str, length=12) -> str | None:
    """Return a piece of the secret, `length` characters long, that is still in the text."""
    body = "".join(
        line for line in secret.splitlines() if not line.startswith("-----") and ":" not in line
    )
    pieces = (body[at : at + length] for at in range(max(1, len(body) - length)))
    return next((piece for piece in pieces if piece in text), None)


FRAMES = {
    "alone": "{}",
    "between lines": "before\n{}\nafter\n",
    "in JSON": None,
    "in JSON in JSON": None,
    "indented": None,
    "behind a log prefix": None,
    "in one line": None,
}


def framed(frame: str, text: str) -> str:
    match frame:
        case "in JSON":
            return json.dumps({"before": "x", "data": text, "after": [1, None]})
        case "in JSON in JSON":
            return json.dumps({"log": json.dumps({"data": text}), "after": 1})
        case "indented":
            return "key: |\n" + textwrap.indent(text, "    ") + "\nafter: 1\n"
        case "behind a log prefix":
            return textwrap.indent(text, "    controller0: ") + "\n    worker0: after\n"
        case "in one line":
            return text.replace("\n", " ") + " after"
        case _:
            return FRAMES[frame].format(text)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("kind", KEYS)
def test_a_private_key_is_gone_and_what_stands_around_it_is_not(kind, frame):
    redacted = redact(framed(frame, KEYS[kind]))
    assert leaked(KEYS[kind], redacted) is None
    assert "PRIVATE KEY" not in redacted
    assert "[redacted: private key]" in redacted
    assert ("after" in redacted) == ("after" in framed(frame, ""))


@pytest.mark.parametrize("frame", ["alone", "between lines", "in JSON", "behind a log prefix"])
@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("cut", ["head", "tail"])
def test_a_private_key_that_was_cut_off_is_gone_all_the_same(kind, frame, cut):
    lines = KEYS[kind].splitlines()
    kept = "\n".join(lines[1:] if cut == "head" else lines[:-1])
    text = framed(frame, kept)
    assert leaked(KEYS[kind], redact(text)) is None


@pytest.mark.parametrize("frame", ["alone", "between lines", "in JSON", "behind a log prefix"])
def test_the_last_line_of_a_key_is_gone_although_it_is_letters_only(frame):
    """One key in fifty ends so; its length is anything below a full line's."""
    body = KEYS["rsa-pkcs8"].splitlines()[1:4]
    letters = "OrvSIiWwZOanxyVqktbJkQeWmTzLpRsXcVbNhGfDaUyEoIjKlMqW"
    for length in range(2, len(letters)):
        last = letters[:length]
        text = framed(frame, "\n".join([*body, last, "-----END PRIVATE KEY-----"]))
        assert last not in redact(text).split(), length
        cut = framed(frame, "\n".join(["-----BEGIN PRIVATE KEY-----", *body, last]))
        assert length < 4 or last not in redact(cut).split(), length


def test_a_private_key_cut_off_in_the_middle_of_a_line_is_gone():
    for length in range(40, len(KEYS["rsa-pkcs8"]), 97):
        text = KEYS["rsa-pkcs8"][:length]
        assert leaked(text, redact(text)) is None
        assert leaked(text, redact(json.dumps(text))) is None


def test_a_cut_off_key_takes_nothing_with_it_that_follows():
    cut = "\n".join(KEYS["rsa-pkcs8"].splitlines()[:5])
    log = "level=info msg=done\nsha256:" + "ab" * 32
    assert redact(f"{cut}\n{log}") == f"[redacted: private key]\n{log}"


def test_two_cut_off_keys_and_a_whole_one_are_three():
    cut = "\n".join(KEYS["rsa-pkcs8"].splitlines()[:5])
    text = f"{cut}\n{cut}\n{KEYS['ec-pkcs8']}"
    assert redact(text) == "[redacted: private key]\n" * 3


def test_the_lines_of_a_key_as_strings_of_their_own_stay_a_list():
    lines = KEYS["rsa-pkcs8"].splitlines()
    redacted = redact(json.dumps(lines))
    assert leaked(KEYS["rsa-pkcs8"], redacted, 17) is None
    assert len(json.loads(redacted)) == len(lines)


@pytest.mark.parametrize("kind", KEYS)
def test_a_private_key_in_base64_is_gone_in_one_run_and_in_wrapped_lines(kind):
    encoded = b64(KEYS[kind])
    wrapped = "\n".join(textwrap.wrap(encoded, 76))
    assert leaked(encoded, redact(f"data: {encoded}\nafter")) is None
    assert leaked(encoded, redact(f"{wrapped}\nafter: 1")) is None
    assert leaked(encoded, redact(json.dumps({"data": wrapped, "after": "x"}))) is None
    assert leaked(encoded, redact(f"key={encoded}")) is None
    assert leaked(encoded, redact(b64(encoded))) is None


@pytest.mark.parametrize("kind", ["rsa-pkcs8", "rsa-pkcs1", "ec-sec1", "ed25519-pkcs8"])
def test_a_private_key_without_its_armour_is_gone(kind):
    der = "".join(KEYS[kind].splitlines()[1:-1])
    assert leaked(der, redact(f'{{"key": "{der}", "after": 1}}')) is None


def test_certificates_stay_because_they_are_evidence():
    assert redact(CERTIFICATE) == CERTIFICATE
    data = f"certificate-authority-data: {b64(CERTIFICATE)}\n"
    assert redact(data) == data


@pytest.mark.parametrize("frame", ["alone", "between lines", "in JSON", "in JSON in JSON"])
def test_a_join_token_is_gone_wherever_it_stands(frame):
    token = join_token()
    assert token.startswith("H4sI")
    for text in (
        token,
        f"k0s worker {token}",
        f"--token-file=/etc/k0s/k0stoken: {token}",
        f"K0S_TOKEN={token}",
        "\n".join(textwrap.wrap(token, 76)),
        token[:200],
    ):
        redacted = redact(framed(frame, text))
        assert leaked(token, redacted) is None
        assert "[redacted: " in redacted


def test_a_join_token_after_a_digest_on_a_line_of_its_own_is_gone():
    digest = hashlib.sha256(b"x").hexdigest()
    token = join_token()
    assert redact(f"{digest}\n{token}\n") == f"{digest}\n[redacted: join token]\n"


@pytest.mark.parametrize("encode", [str, json.dumps, lambda text: json.dumps(json.dumps(text))])
def test_a_kubeconfig_keeps_its_shape_and_loses_its_credentials(encode):
    user = {
        "client-certificate-data": b64(CLIENT_CERTIFICATE),
        "client-key-data": b64(KEYS["ec-sec1"]),
        "token": bootstrap_token(),
        "password": word(),
    }
    text = encode(kubeconfig(user))
    redacted = redact(text)
    for secret in user.values():
        # Both certificates begin and end with the same armour.
        assert leaked(secret, redacted.replace(b64(CERTIFICATE), "")) is None
    assert "https://172.31.77.10:6443" in redacted
    assert b64(CERTIFICATE) in redacted
    for kind in ("client certificate", "private key", "bootstrap token", "password"):
        assert f"[redacted: {kind}]" in redacted


def test_a_jwt_is_gone_behind_a_name_behind_bearer_and_alone():
    for form in (
        "{}",
        "Authorization: Bearer {}",
        '{{"Authorization":["Bearer {}"]}}',
        "--token={}",
        '"--token", "{}"',
        "curl -H 'authorization: bearer {}' https://172.31.77.10:6443",
        '"token":"{}"',
        '{{\\"token\\":\\"{}\\"}}',
        "a line\\n{}\\nanother",
        "?access_token={}",
        "{}.",
    ):
        token = jwt()
        redacted = redact(form.format(token))
        assert leaked(token, redacted) is None, form
        assert "[redacted: " in redacted


@pytest.mark.parametrize(
    "form",
    [
        "password: {}",
        "password: '{}'",
        'password: "{}"',
        "password={}",
        "PASSWORD={}",
        "DB_PASSWORD={}",
        "dbPassword: {}",
        "--password {}",
        "--password={}",
        '["login", "--password", "{}", "host"]',
        "['login', '--password', '{}', 'host']",
        '{{"password":"{}","user":"x"}}',
        '{{"log":"{{\\"password\\":\\"{}\\",\\"user\\":\\"x\\"}}"}}',
        '{{"name":"REGISTRY_PASSWORD","value":"{}"}}',
        "- name: REGISTRY_PASSWORD\n  value: {}\n",
        "text\\npassword={}\\nmore",
        "aws_secret_access_key = {}",
        "AWS_SECRET_ACCESS_KEY={}",
        "api-key: {}",
        "apiKey={}",
        "client_secret={}",
        "clientSecret: {}",
        "secret: {}",
        "passphrase: {}",
        "refresh_token={}",
        "K0S_TOKEN={}",
        "Authorization: Basic {}",
        "Proxy-Authorization: basic {}",
        "Authorization: Bearer {}",
        "bearer {}",
        "http://user:{}@proxy.example:3128",
        "https_proxy=http://user:{}@proxy.example:3128/",
        'Environment="HTTPS_PROXY=http://user:{}@proxy.example:3128"',
        "HTTP_PROXY=user:{}@proxy.example:3128",
        '"proxy":"socks5://:{}@proxy.example:1080"',
        "http://user:at@{}@proxy.example:3128",
        "curl --proxy-user user:{} http://x",
        "curl -u user:{} http://x",
        "ghp_{}aaaaaaaaaaaa",
        "root:$6${}$aaaaaaaaaaaaaaaaaaaaaaaaaa:19700:0:99999:7:::",
        "<graphics type='vnc' passwd='{}'/>",
        "client-certificate-data: >-\n  {}\nafter: 1",
    ],
)
def test_a_secret_is_gone_in_every_form_people_write_it(form):
    secret = word()
    redacted = redact(form.format(secret))
    assert leaked(secret, redacted, 6) is None
    assert "redacted" in redacted


def test_registry_credentials_of_docker_are_gone():
    auth = b64(f"user:{word()}")
    config = {"auths": {"registry.example": {"auth": auth, "identitytoken": word()}}}
    for text in (json.dumps(config), json.dumps(config, indent=2), b64(json.dumps(config))):
        redacted = redact(text)
        assert auth not in redacted
        assert config["auths"]["registry.example"]["identitytoken"] not in redacted
        assert leaked(b64(json.dumps(config)), redacted) is None
    assert redact(f'auth = "{auth}"') == 'auth = "[redacted: registry credentials]"'


def test_cloud_access_keys_are_gone():
    key = "AKIA" + "".join(secrets.choice(string.ascii_uppercase) for _ in range(16))
    assert redact(f"using {key}.") == "using [redacted: access key]."


def test_a_bootstrap_token_is_gone_without_any_name_in_front():
    token = bootstrap_token()
    assert (
        redact(f"created {token} for workers") == "created [redacted: bootstrap token] for workers"
    )


@pytest.mark.parametrize("tail", ['"', "\\", '\\"', "'", ' "quoted" ', "\\n", "a b", "}{][,"])
def test_a_secret_with_characters_that_json_escapes_is_gone_and_the_json_stays(tail):
    secret = word() + tail + "Zz9Zz9Zz9"
    document: object = {"password": secret, "after": 1}
    for _ in range(3):
        text = json.dumps(document)
        redacted = redact(text)
        assert "Zz9Zz9Zz9" not in redacted
        json.loads(redacted)
        document = {"log": text, "after": 1}


# What logs put before and after each line that they pass on.
LOGS = {
    "a journal": ("Nov 28 10:00:00 controller0 k0s[714]: ", ""),
    "a journal with years": ("2026-11-28T10:00:00+0000 controller0 k0s[714]: ", ""),
    "logfmt": ('time="2026-11-28T10:00:00Z" level=info msg="', '" component=kine'),
    "containerd": ("2026-11-28T10:00:00.123456789Z stdout F ", ""),
    "docker": ('{"log":"', '\\n","stream":"stderr","time":"2026-11-28T10:00:00Z"}'),
    "klog": ("I1128 10:00:00.000000       1 server.go:12] ", ""),
    "compose": ("app_1  | ", ""),
    "Vagrant": ("    controller0: ", ""),
}


@pytest.mark.parametrize("log", LOGS)
@pytest.mark.parametrize("cut", [(0, None), (1, None), (0, -1), (3, None), (0, -3), (3, -3)])
def test_a_key_behind_a_logs_prefix_is_gone_however_it_was_cut(log, cut):
    before, after = LOGS[log]
    lines = KEYS["rsa-pkcs1"].splitlines()[slice(*cut)]
    text = "\n".join(f"{before}{line}{after}" for line in [*lines, "after the key"])
    redacted = redact(text)
    assert all(leaked(line, redacted) is None for line in lines if not line.startswith("---"))
    assert redacted.endswith(f"{before}after the key{after}")
