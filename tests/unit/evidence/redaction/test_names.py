"""What a name means, and what a value has to be: each decided in one place."""

from __future__ import annotations

import json

import pytest

from harness.evidence.recorder import redacted_value
from harness.evidence.redaction import redact
from harness.evidence.redaction.names import meaning_of
from harness.evidence.redaction.values import is_harmless, is_prose, looks_random

HEADS = {
    "password": "password Passwd PGPASSWORD passphrase dbpassword DB_PASS authPass rootpw pwd psk"
    " Passwort mot_de_passe contraseña hasło senha пароль 密码",  # Cyrillic is meant
    "token": "token accessToken GITLAB_TOKEN identitytoken _authToken",
    "secret": "secret clientSecret api_key X-Api-Key AccountKey encryption-key preSharedKey",
    "private key": "privateKey ssh-privatekey tls.key",
}


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k, ns in HEADS.items() for n in ns.split()])
def test_a_name_keeps_its_meaning_with_what_people_put_behind_it(kind, name):
    for suffix in ("", "2", "_old", "-new", ".prod", "_1", "_base64"):
        meaning = meaning_of(name + suffix)
        assert meaning is not None, name + suffix
        assert meaning.kind == kind, name + suffix


@pytest.mark.parametrize("head", ["password", "token", "secret", "apiKey", "credentials"])
def test_a_name_of_something_else_about_a_secret_means_none(head):
    for suffix in ("File", "_path", "-name", "Ref", "TTL", "Type", "_policy", "Expiration", "Url"):
        assert meaning_of(head + suffix) is None, head + suffix


def test_words_that_only_end_like_a_secret_mean_none():
    for name in ("monkey", "keyboard", "bypass", "compass", "author", "spin", "passwordless"):
        assert meaning_of(name) is None, name
    for name in (
        "publicKey",
        "topologyKey",
        "primary_key",
        "v1.Secret",
        "TokenRequest",
        "next_token",
    ):
        assert meaning_of(name) is None, name


@pytest.mark.parametrize(
    "value", ["", "true", "null", "${X}", "{{ .x }}", "<set>", "/etc/k0s/x", "~/x"]
)
def test_a_value_that_stands_for_another_or_for_none_is_harmless(value):
    assert is_harmless(value)
    assert not is_harmless(value + "hunter2!=x")


def test_a_sentence_about_a_secret_is_told_from_a_passphrase():
    assert is_prose("incorrect")
    assert is_prose("must be at least 8 characters")
    assert is_prose("the one that was given is wrong")
    assert not is_prose("correct horse battery staple")
    assert not is_prose("the quick brown fox")


def test_names_numbers_and_addresses_do_not_look_random():
    for value in (
        "worker0",
        "metrics-server-7d8f9c6b5-x2lqp",
        "10.96.0.1:443",
        "24h0m0s",
        "v1.32.3+k0s.0",
    ):
        assert not looks_random(value), value
    for value in ("aB3dE6gH9jK2", "hunter2!x", "7d8f9c6b5a4e"):
        assert looks_random(value), value


def test_a_value_is_redacted_for_the_name_beside_it_in_any_order():
    for document in (
        {"env": [{"name": "DB_PASSWORD", "value": "letmein"}]},
        {"env": [{"value": "letmein", "name": "DB_PASSWORD"}]},
        {"Tags": [{"Key": "db.password", "Value": "letmein"}]},
        {"args": ["--password", "letmein"]},
        {"command": ["mysql", "-uroot", "-pletmein"]},
        {"passwords": ["letmein", "sesame1"]},
    ):
        for redacted in (json.dumps(redacted_value(document)), redact(json.dumps(document))):
            assert "letmein" not in redacted
            assert "sesame" not in redacted
            assert "[redacted: password]" in redacted


def test_the_data_of_a_secret_is_gone_and_that_of_another_object_beside_it_is_not():
    objects = [
        {"kind": "ConfigMap", "data": {"color": "green"}},
        {"kind": "Secret", "data": {"color": "cmVk"}, "stringData": {"shape": "round"}},
    ]
    for redacted in (redacted_value(objects), json.loads(redact(json.dumps(objects)))):
        assert redacted[0] == objects[0]
        assert redacted[1]["data"] == {"color": "[redacted: secret]"}
        assert redacted[1]["stringData"] == {"shape": "[redacted: secret]"}
    yaml = "kind: {}\ndata:\n  color: {}\nmetadata:\n  name: x\n"
    text = yaml.format("ConfigMap", "green") + "---\n" + yaml.format("Secret", "cmVk")
    assert redact(text) == text.replace("cmVk", "[redacted: secret]")
