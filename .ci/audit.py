"""Asks an index of advisories whether a locked package has a known hole.

Every version in both lock files is asked for at once, with its name and nothing else. Exit status:
0 none is known, 1 some are, 75 the index cannot be reached from here (EX_TEMPFAIL of sysexits.h).
"""

from __future__ import annotations

import json
import re
import sys
import urllib.request
from pathlib import Path

# The index that PyPI's own advisories are in, by its interface for many questions at once.
INDEX = "https://api.osv.dev/v1/querybatch"
LOCKS = ("requirements.lock", "requirements-dev.lock")
SECONDS = 20
NOT_REACHED = 75
_LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def main(index: str = INDEX) -> int:
    root = Path(__file__).parents[1]
    locked = sorted({pair for name in LOCKS for pair in _LOCKED.findall((root / name).read_text())})
    queries = [
        {"package": {"name": name, "ecosystem": "PyPI"}, "version": version}
        for name, version in locked
    ]
    request = urllib.request.Request(
        index,
        json.dumps({"queries": queries}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            results = json.load(answer)["results"]
        answers = [
            (name, version, [each["id"] for each in result.get("vulns", ())])
            for (name, version), result in zip(locked, results, strict=True)
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"audit: NOT asked: {index} cannot be reached or read: {str(error)!a}")
        return NOT_REACHED
    holes = [each for each in answers if each[2]]
    for name, version, advisories in holes:
        print(f"audit: {name} {version}: {', '.join(map(ascii, advisories))}")
    print(f"audit: {len(locked)} locked packages, {len(holes)} with a known hole")
    return 1 if holes else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
