"""Where things lie, so that a test may move."""

from pathlib import Path

UNIT = Path(__file__).parent
PROJECT = UNIT.parents[1]
SCENARIOS = PROJECT / "scenarios"
DEMO = PROJECT / "demo/konnectivity-off.tar.gz"
# Of real clusters; what single tools said lies in `UNIT / "recordings"`.
RECORDINGS = PROJECT / "tests/recordings"
