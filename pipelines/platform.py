"""What tasks get from the cluster, all in one place: images, environment, resources, retries, rights, placement.

A file in YAML changes what differs from the defaults; ``configs/platform.yaml`` shows every key. Credentials are named
here and never held: a task finds them in its environment, from a Secret of its namespace.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from lstfill.config import Section, build
from lstfill.configfile import read_mapping

STEPS = ("ingest", "mask", "split", "preprocess", "train", "evaluate", "predict")
MAX_SECONDS = 2**31 - 1

_QUANTITY = r"(?:0|[1-9]\d*)(?:\.\d+)?"
# A tag or a digest behind the last slash; a colon before it belongs to the registry's port.
_PINNED = re.compile(r"[^\s@]*?[^\s@/:]+(?::(?P<tag>\w[\w.-]{0,127}))?(?P<digest>@sha256:[0-9a-f]{64})?")
_TAG = re.compile(r"\w[\w.-]{0,127}")


def _pinned(image: str) -> str:
    found = _PINNED.fullmatch(image)
    if found is None or not (found["digest"] or _fixed(found["tag"])):
        raise ValueError("an image needs a tag other than 'latest', or a digest: like registry/name:0.1.0")
    return image


def _pinned_tag(tag: str) -> str:
    if not (_TAG.fullmatch(tag) and _fixed(tag)):
        raise ValueError("a tag names one build, 'latest' does not: take a version or a commit")
    return tag


def _fixed(tag: str | None) -> bool:
    return tag not in (None, "latest")


def _ends_in_slash(registry: str) -> str:
    return f"{registry.rstrip('/')}/" if registry else ""


Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Key = Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)]
Cpu = Annotated[str, Field(pattern=rf"^{_QUANTITY}m?$")]
Memory = Annotated[str, Field(pattern=rf"^{_QUANTITY}(E|P|T|G|M|K|Ei|Pi|Ti|Gi|Mi|Ki)?$")]
Seconds = Annotated[int, Field(ge=1, le=MAX_SECONDS)]
Image = Annotated[str, AfterValidator(_pinned)]
Tag = Annotated[str, AfterValidator(_pinned_tag)]
Registry = Annotated[str, Field(pattern=r"^\S*$"), AfterValidator(_ends_in_slash)]
Label = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?)?$", max_length=63)]


class Settings(Section):
    """A section that names what it knows, also inside lists and mappings."""

    @model_validator(mode="before")
    @classmethod
    def _known(cls, values: Any) -> Any:
        unknown = [key for key in values if key not in cls.model_fields] if isinstance(values, dict) else []
        if unknown:
            raise ValueError(f"unknown key {unknown[0]!r}; known there: {', '.join(cls.model_fields)}")
        return values


class Images(Settings):
    """Which images the tasks run in; names follow from registry and tag unless they are given whole."""

    registry: Registry | None = Field(None, description="like registry.example.org/science/; null: environment")
    tag: Tag | None = Field(None, description="tag of both images, a version or a commit; null takes this version")
    light: Image | None = Field(None, description="whole name of the image of ingest, mask, split and preprocess")
    ml: Image | None = Field(None, description="whole name of the image of train, evaluate and predict")
    pull_policy: Literal["IfNotPresent", "Always", "Never"] = Field("IfNotPresent", description="when nodes pull")
    pull_secrets: list[Name] = Field([], description="Secrets with the registry's credentials")


class Reference(Settings):
    """Variables of a task that come from a Secret or a ConfigMap of the run's namespace."""

    name: Name = Field(description="name of the Secret or ConfigMap")
    keys: dict[Key, Variable] = Field(description="variable that gets the value, by key of the object")
    optional: bool = Field(False, description="start without it where the object or a key is absent")


class Step(Settings):
    """Resources and time of one step. What is not given is the step's default."""

    cpu_request: Cpu = Field("500m", description="share of CPU that a node must have free")
    cpu_limit: Cpu = Field("2", description="most CPU")
    memory_request: Memory = Field("1Gi", description="memory that a node must have free")
    memory_limit: Memory = Field("2Gi", description="most memory; a step that takes more is ended")
    timeout_s: Seconds = Field(3600, description="most seconds an attempt, image pull included")

    @model_validator(mode="after")
    def _within(self) -> Step:
        for name, read in (("cpu", _cores), ("memory", _bytes)):
            request, limit = getattr(self, f"{name}_request"), getattr(self, f"{name}_limit")
            if read(request) > read(limit):
                raise ValueError(f"{name}_request {request!r} is above {name}_limit {limit!r}: raise the limit")
        return self


def _cores(quantity: str) -> float:
    return float(quantity.removesuffix("m")) / (1000 if quantity.endswith("m") else 1)


def _bytes(quantity: str) -> float:
    number = quantity.rstrip("EPTGMKi")
    unit = quantity[len(number) :]
    base = 1024 if unit.endswith("i") else 1000
    return float(number) * base ** (" KMGTPE".index(unit[0]) if unit else 0)


# Peaks on a global cube of ten dates in MB, with a line: ingest 224, mask 1119, split 276, preprocess 331, train 879,
# evaluate 844, predict 312. Requests hold them, limits leave room for larger chunks. A model of tiles may take up
# to 2 GB in train, evaluate and predict.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "ingest": {"timeout_s": 4 * 3600},
    "mask": {"memory_request": "2Gi", "memory_limit": "3Gi", "timeout_s": 1800},
    "split": {},
    "preprocess": {"timeout_s": 2 * 3600},
    "train": {"cpu_limit": "4", "memory_request": "2Gi", "memory_limit": "4Gi", "timeout_s": 8 * 3600},
    "evaluate": {"cpu_limit": "4", "memory_request": "2Gi", "memory_limit": "4Gi", "timeout_s": 8 * 3600},
    "predict": {"cpu_limit": "4", "memory_request": "2Gi", "memory_limit": "4Gi", "timeout_s": 8 * 3600},
}


class Retry(Settings):
    """What happens to an attempt that failed: the same place is written again."""

    times: Annotated[int, Field(ge=0, le=10)] = Field(2, description="further attempts")
    backoff_s: Seconds = Field(30, description="seconds before the first of them")
    factor: Annotated[int, Field(ge=1, le=10)] = Field(2, description="each wait is that many times longer")

    def total_s(self, timeout_s: int) -> int:
        """Seconds that all attempts and the waits between them may take; no attempt starts after them."""
        waits = sum(self.backoff_s * self.factor**number for number in range(self.times))
        return min((self.times + 1) * timeout_s + waits, MAX_SECONDS)


class Security(Settings):
    """Who a task runs as. Kubeflow itself drops all capabilities, forbids escalation and sets the seccomp profile."""

    run_as_user: Annotated[int, Field(ge=1)] = Field(10001, description="numeric user, not root; any works")
    run_as_group: Annotated[int, Field(ge=0)] = Field(0, description="numeric group, the images' files belong to 0")
    scratch_size: Memory | None = Field(
        "8Gi",
        description="size limit of the empty directory at /tmp, where a task writes; null mounts none",
    )


class Toleration(Settings):
    """A taint that tasks tolerate."""

    key: str | None = Field(None, description="null with operator Exists tolerates every taint")
    operator: Literal["Equal", "Exists"] = Field("Equal", description="compare the value, or take any")
    value: str | None = Field(None, description="for operator Equal")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="null: every effect"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Toleration:
        if self.operator == "Exists" and self.value is not None:
            raise ValueError(f"operator 'Exists' takes no value, got {self.value!r}: leave it out, or take 'Equal'")
        if self.operator == "Equal" and self.key is None:
            raise ValueError("operator 'Equal' needs a key: give it, or take 'Exists' to tolerate every taint")
        return self


class Placement(Settings):
    """On which nodes tasks run."""

    tolerations: list[Toleration] = Field([], description="taints that are tolerated")
    node_selector: dict[str, Label] = Field({}, description="labels a node must have")


class Finished(Settings):
    """What becomes of a run that ended."""

    ttl_s: Annotated[int, Field(ge=0, le=MAX_SECONDS)] | None = Field(
        7 * 24 * 3600, description="seconds until the pods of a finished run are removed; null keeps them"
    )


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_SECRETS = [
    Reference(name="lstfill-s3", keys=_same("LSTFILL_S3_ACCESS_KEY_ID", "LSTFILL_S3_SECRET_ACCESS_KEY")),
    Reference(
        name="lstfill-source-s3",
        keys=_same("LSTFILL_SOURCE_S3_ACCESS_KEY_ID", "LSTFILL_SOURCE_S3_SECRET_ACCESS_KEY"),
        optional=True,
    ),
    Reference(
        name="lstfill-mlflow",
        keys=_same("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"),
        optional=True,
    ),
]
# AWS needs no endpoint and often no region; without a tracking server a run's record would go with its pods.
_CONFIG_MAPS = [
    Reference(name="lstfill", keys=_same("MLFLOW_TRACKING_URI")),
    Reference(name="lstfill", keys=_same("LSTFILL_S3_ENDPOINT_URL", "LSTFILL_S3_REGION"), optional=True),
]


class Platform(Settings):
    """All settings of a cluster that a compiled pipeline carries."""

    images: Images = Field(Images(), description="images of the tasks")
    secrets: list[Reference] = Field(_SECRETS, description="environment from Secrets; a list given replaces this one")
    config_maps: list[Reference] = Field(
        _CONFIG_MAPS, description="environment from ConfigMaps; a list given replaces this one"
    )
    steps: dict[str, Step] = Field({}, validate_default=True, description="resources and timeouts by step")
    retry: Retry = Field(Retry(), description="attempts of a task")
    security: Security = Field(Security(), description="user and scratch space")
    placement: Placement = Field(Placement(), description="nodes")
    labels: dict[str, Label] = Field(
        {"app.kubernetes.io/name": "lstfill", "app.kubernetes.io/part-of": "lstfill"}, description="of every pod"
    )
    annotations: dict[str, str] = Field({}, description="of every pod")
    finished: Finished = Field(Finished(), description="what becomes of a run that ended")
    service_account: Name | None = Field(None, description="of a submitted run; null is Kubeflow's own")

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, values: Any) -> Any:
        given = values.get("steps") or {} if isinstance(values, dict) else None
        if not isinstance(given, dict) or not all(isinstance(of, dict) for of in given.values()):
            return values
        if unknown := sorted(set(given) - set(STEPS)):
            raise ValueError(f"steps: unknown step {unknown[0]!r}; known: {', '.join(STEPS)}")
        return {**values, "steps": {name: {**_DEFAULTS[name], **given.get(name, {})} for name in STEPS}}

    @model_validator(mode="after")
    def _each_variable_once(self) -> Platform:
        named = [variable for of in (*self.secrets, *self.config_maps) for variable in of.keys.values()]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise ValueError(f"{twice[0]} comes from more than one Secret or ConfigMap: name it once")
        return self

    def with_images(self, **given: str | None) -> Platform:
        """These settings with other images; whole names of a file give way to a registry or tag given here.

        Args:
            given: fields of ``Images``; None leaves a field as it is.

        Raises:
            ConfigError: if a tag or image is not pinned.
        """
        wanted = {name: value for name, value in given.items() if value is not None}
        kept = self.images.model_dump()
        if "registry" in wanted or "tag" in wanted:
            kept |= {"light": None, "ml": None}
        return self.model_copy(update={"images": build(Images, {**kept, **wanted}, "images")})


def load(path: Path | None) -> Platform:
    """Reads and checks a file of settings; without one, the defaults.

    Raises:
        ConfigError: if the file is missing, is no YAML mapping, or does not fit the schema.
    """
    if path is None:
        return Platform()
    values = read_mapping(path, "platform settings", "settings: start with 'images:' or 'steps:'")
    return build(Platform, values, origin=str(path))
