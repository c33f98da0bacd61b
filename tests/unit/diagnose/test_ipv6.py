"""A cluster with IPv6 addresses is diagnosed as one with IPv4: recordings with other addresses."""

import ipaddress
import json
import re

import pytest

from harness.diagnose.judge import diagnose
from harness.evidence.reading import Reading
from harness.report import diagnosis as report
from tests.unit.paths import RECORDINGS

FOLDER = RECORDINGS / "diagnosis"
WALKS = sorted(FOLDER.glob("*/1.jsonl"))
_IPV4 = re.compile(r"(?<![\w.])(\d{1,3}(?:\.\d{1,3}){3})(?![\w.])(?:/(\d{1,2})\b)?(:\d+)?")


def as_ipv6(text):
    """The text with each IPv4 address in the last four bytes of an IPv6 one."""

    def other(found):
        address, prefix, port = found.groups()
        try:
            number = int(ipaddress.IPv4Address(address))
        except ValueError:
            return found.group()
        if address == "0.0.0.0":  # noqa: S104
            six = "::"
        elif address.startswith("127."):
            six = "::1"
        else:
            six = str(ipaddress.IPv6Address((0xFD00 << 112) | number))
        network = "" if prefix is None else f"/{0 if prefix == '0' else 96 + int(prefix)}"
        return f"[{six}]{port}" if port else f"{six}{network}"

    return _IPV4.sub(other, text)


def readings_of(text):
    found = []
    for line in text.splitlines():
        data = json.loads(line)
        if data["probe"] == "addresses" and data["stdout"]:
            data["stdout"] = prefixes(data["stdout"])
        found.append(Reading.from_dict(data))
    return found


def prefixes(stdout):
    """`ip` says the length of a network's prefix in a field of its own."""
    links = json.loads(stdout)
    for link in links:
        for each in link.get("addr_info", []):
            each["prefixlen"] += 96
    return json.dumps(links)


@pytest.mark.parametrize("path", WALKS, ids=[path.parent.name for path in WALKS])
def test_a_cluster_with_ipv6_addresses_has_the_same_cause(path):
    text = path.read_text("utf-8")
    four = diagnose([Reading.from_dict(json.loads(line)) for line in text.splitlines()])
    six = diagnose(readings_of(as_ipv6(text)))
    assert (six.cause, six.first_broken_hop) == (four.cause, four.first_broken_hop)
    said = report.render(six)
    assert ("fd00::" in said) is bool(_IPV4.search(report.render(four)))
    assert not re.search(r"(?<!\[)\bfd00:[0-9a-f:]*:(?:443|10250|8132|6443)\b", said), said
