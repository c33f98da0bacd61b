"""What of the layers' own values stands in a run's result."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from harness.artifacts.model import Artifact
from harness.base.errors import HarnessError, InfrastructureError
from harness.base.settings import Settings
from harness.engine.events import ArtifactUsed, SettingUsed
from harness.plan.model import Plan


def artifact_used(artifact: Artifact) -> ArtifactUsed:
    """Return what a report says of an artifact."""
    return ArtifactUsed(
        kind=artifact.ref.kind,
        version=artifact.ref.version,
        file_name=artifact.ref.file_name,
        sha256=artifact.sha256,
        origin=artifact.origin,
        source=artifact.source,
    )


def settings_used(settings: Settings) -> Mapping[str, SettingUsed]:
    """Return the effective settings by name, as a user writes them, each with its origin."""
    return {
        field.name: SettingUsed(
            _as_written(getattr(settings, field.name)), settings.origin.get(field.name, "default")
        )
        for field in dataclasses.fields(settings)
        if field.name != "origin" and getattr(settings, field.name) is not None
    }


def _as_written(value: object) -> str:
    # A switch is read from 1 and 0 alone, and the command that repeats a run is made of these.
    return str(int(value)) if isinstance(value, bool) else str(value)


def versions_of(plan: Plan) -> Mapping[str, str]:
    """Return the version of each release file that the plan wants, by its kind."""
    return {str(each.kind): each.version for each in sorted(plan.artifacts, key=lambda r: r.kind)}


def error_text(error: BaseException | None) -> str | None:
    """Return what ended a run early, as its sentence; None where nothing did."""
    if error is None:
        return None
    if isinstance(error, HarnessError):
        return error.text()
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return InfrastructureError("Running the scenario", f"{type(error).__name__}: {error}").text()
