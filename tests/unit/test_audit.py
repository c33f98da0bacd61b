"""The check of locked packages, against an index of advisories that this test plays."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.unit.paths import PROJECT

AUDIT = PROJECT / ".ci/audit.py"


def audit(index):
    return subprocess.run(
        [sys.executable, "-I", str(AUDIT), index],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.fixture
def index():
    """An index: `index.answer` makes its answer of the questions; returns its address."""

    class Index(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps({"results": server.answer(asked["queries"])}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server.address = f"http://127.0.0.1:{server.server_address[1]}/"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_locked_package_is_asked_for_and_none_is_fine(index):
    asked = []
    index.answer = lambda queries: asked.extend(queries) or [{} for _ in queries]
    done = audit(index.address)
    assert done.returncode == 0, done.stdout
    assert f"{len(asked)} locked packages, 0 with a known hole" in done.stdout
    assert {"pytest", "pyyaml", "ruff"} <= {each["package"]["name"] for each in asked}
    assert all(each["version"] for each in asked)


def test_a_package_with_a_known_hole_is_named(index):
    index.answer = lambda queries: [
        {"vulns": [{"id": "GHSA-x"}]} if each["package"]["name"] == "paramiko" else {}
        for each in queries
    ]
    done = audit(index.address)
    assert done.returncode == 1
    assert "audit: paramiko " in done.stdout
    assert "GHSA-x" in done.stdout


def test_an_index_that_does_not_answer_what_was_asked_has_proven_nothing(index):
    index.answer = lambda _queries: []
    done = audit(index.address)
    assert (done.returncode, "NOT asked" in done.stdout) == (75, True)


def test_an_index_that_cannot_be_reached_is_said_and_fails_nothing():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    done = audit(address)
    assert done.returncode == 75
    assert done.stdout.startswith("audit: NOT asked: ")
