"""A plugin of pytest for scenarios of others: no module that lies beside them is imported."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Dir:
    """Take every folder for a plain one: of a package pytest imports `__init__.py`."""
    folder: pytest.Dir = pytest.Dir.from_parent(parent, path=path)
    return folder
