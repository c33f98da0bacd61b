"""The page about k0sctl.yaml has the keys that the reader knows, with what is done with them."""

import re

from harness.cluster.k0sctl_fields import CLUSTER
from tests.unit.paths import PROJECT

PAGE = (PROJECT / "docs/k0sctl-yaml.md").read_text("utf-8")
ROW = re.compile(r"^\| `([^`]+)` \| (\w+) \| (.+) \|$", re.MULTILINE)


def test_the_table_is_what_the_reader_does():
    assert ROW.findall(PAGE) == [(path, each.use, each.why) for path, each in CLUSTER.paths()]
