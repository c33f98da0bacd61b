"""What a phase may do to the cluster on entering it: one class for each kind of change."""

from __future__ import annotations

from typing import Annotated
from typing import ClassVar
from typing import Literal

from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import RootModel

from harness.scenario.fields import KernelModule
from harness.scenario.fields import OneKey
from harness.scenario.fields import Within
from harness.scenario.fields import Word
from harness.scenario.words import Component

Undo = Literal["exact", "none"]


class _ComponentChange(RootModel[Annotated[Component, Word(Component, "component")]]):
    """A change whose body is one word: the component."""

    model_config = ConfigDict(frozen=True, strict=True)

    needs_own_kernel: ClassVar[bool] = False
    undo: ClassVar[Undo] = "none"

    @property
    def component(self) -> Component:
        """The component that is turned on or off."""
        return self.root


class EnableComponent(_ComponentChange):
    """Turn a disabled k0s component on: the controller is reinstalled without its flag."""

    kind: ClassVar[str] = "enable_component"


class DisableComponent(_ComponentChange):
    """Turn a k0s component off. What it had already installed stays behind in the cluster."""

    kind: ClassVar[str] = "disable_component"


class _KernelChange(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )

    needs_own_kernel: ClassVar[bool] = True
    undo: ClassVar[Undo] = "none"

    machine: str
    """Name of the machine, as in worker0."""


class ClockStep(_KernelChange):
    """Step a machine's clock forward. Needs a kernel of its own."""

    kind: ClassVar[str] = "clock_step"

    by: Within
    """How far, as in 2m."""


class LoadModule(_KernelChange):
    """Load a kernel module on a machine. Needs a kernel of its own."""

    kind: ClassVar[str] = "load_module"

    name: KernelModule
    """Name of the module, as in nf_conntrack."""


Change = Annotated[
    EnableComponent | DisableComponent | ClockStep | LoadModule,
    OneKey("change"),
]
