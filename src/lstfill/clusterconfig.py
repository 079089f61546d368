"""Where chunks are worked on: the section ``cluster`` of the configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from lstfill.section import Maybe, Positive, Section


def _quantity(*units: str) -> AfterValidator:
    """A check of a quantity of Kubernetes: a number above 0 and one of the units."""

    def check(text: str) -> str:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]*)", text)
        if not found or found[2] not in units or float(found[1]) == 0:
            raise ValueError(f"is not a number above 0 with one of the units {', '.join(filter(None, units))}")
        return text

    return AfterValidator(check)


def _text(value: Any) -> Any:
    # YAML reads cpu: 2 as a number, Kubeflow hands it on as 2.0; Kubernetes wants a text.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return str(int(value)) if value == int(value) else str(value)


Cpu = Annotated[str, BeforeValidator(_text), _quantity("", "m")]
Memory = Annotated[str, BeforeValidator(_text), _quantity("Mi", "Gi", "Ti", "M", "G", "T")]

_PODS = (
    "minimum", "maximum", "image", "namespace", "cpu", "memory", "scheduler_cpu", "scheduler_memory",
    "start_timeout_s", "idle_timeout_s",
)  # fmt: skip
_ONLY_FOR: Mapping[str, tuple[str, ...]] = {"kubernetes": _PODS, "scheduler": ("address",), "local": ("memory_limit",)}


class Cluster(Section):
    """Where chunks are worked on."""

    kind: Literal["threads", "local", "scheduler", "kubernetes"] = Field(
        "threads",
        description="threads of the step, processes on this machine, a Dask scheduler, or pods made for each step",
    )
    workers: Positive = Field(2, description="threads for kind threads, processes for kind local, pods for kubernetes")
    threads_per_worker: Positive = Field(1, description="for kinds local and kubernetes")
    memory_limit: Maybe[str] = Field(
        None, description="for kind local: memory a worker, like 2GiB; null shares the machine's"
    )
    address: Maybe[str] = Field(None, description="for kind scheduler: like tcp://host:8786")
    minimum: Maybe[Positive] = Field(
        None, description="for kind kubernetes: fewest pods of a cluster that follows its load, with maximum"
    )
    maximum: Maybe[Positive] = Field(
        None, description="for kind kubernetes: most pods of a cluster that follows its load, instead of workers"
    )
    image: Maybe[str] = Field(
        None, description="for kind kubernetes: image of scheduler and workers; null takes that of the step's own pod"
    )
    namespace: Maybe[str] = Field(
        None, description="for kind kubernetes: where pods are made; null takes that of the step's own pod"
    )
    cpu: Cpu = Field("1", description="for kind kubernetes: processors a worker asks for")
    memory: Memory = Field("4Gi", description="for kind kubernetes: memory a worker asks for, which is its limit too")
    scheduler_cpu: Cpu = Field("500m", description="for kind kubernetes: processors the scheduler asks for")
    scheduler_memory: Memory = Field(
        "2Gi", description="for kind kubernetes: memory the scheduler asks for, which is its limit too"
    )
    start_timeout_s: Positive = Field(
        600, description="for kind kubernetes: longest wait for the scheduler and a first worker, image pull included"
    )
    idle_timeout_s: Positive = Field(
        300, description="for kind kubernetes: pods without work are removed after it, if their step could not do it"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for kind, names in _ONLY_FOR.items():
            for name in names if self.kind != kind else ():
                self._refuse(kind, name)
        if self.kind == "scheduler" and self.address is None:
            raise ValueError(
                "kind 'scheduler' with address None: 'address' goes with kind 'scheduler' and only with it"
            )
        if (self.minimum is None) != (self.maximum is None):
            raise ValueError(f"minimum {self.minimum} with maximum {self.maximum}: give both, or workers alone")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is more than maximum {self.maximum}: swap them")
        return self

    def _refuse(self, kind: str, name: str) -> None:
        # Compared with the default, not with what was set: the pipeline hands on every key.
        value = getattr(self, name)
        if value != type(self).model_fields[name].default:
            raise ValueError(
                f"kind {self.kind!r} with {name} {value!r}: {name!r} goes with kind {kind!r} and only with it"
            )

    def capacity(self) -> int:
        """Most threads that work at once, over all pods, for kind kubernetes."""
        return (self.maximum or self.workers) * self.threads_per_worker
