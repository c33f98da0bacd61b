"""Where the files are that the harness comes with beside its modules.

A checkout has them at its top. The wheel has the same files in this package (`pyproject.toml` lists
them), so that an installed `k0s-harness` needs no checkout.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_IN_WHEEL = _PACKAGE / "shipped"

CHECKOUT: Path | None = None if _IN_WHEEL.is_dir() else _PACKAGE.parent
"""The checkout that this runs from, None where it is installed without one."""
SHIPPED = CHECKOUT or _IN_WHEEL
"""The folder of `Vagrantfile`, `boxes/`, `scenarios/` and `demo/`."""
SCENARIOS = SHIPPED / "scenarios"
RECORDED_RUN = SHIPPED / "demo" / "konnectivity-off.tar.gz"
