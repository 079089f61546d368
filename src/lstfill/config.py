"""The configuration of a run: one frozen model a section, checked where text enters and trusted inside.

Every field has a description, from which the page of documentation is made. Units stand in the names. Unknown keys
are refused. Empty strings and empty lists mean "not given", because Kubeflow's parameters know no null.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from lstfill.clusterconfig import Cluster as Cluster
from lstfill.errors import ConfigError
from lstfill.modelconfig import (
    NEEDS_FEATURES,
    Boosting,
    Calibration,
    Ensemble,
    Harmonic,
    Local,
    Mlp,
    ModelName,
    Tiles,
)
from lstfill.section import CREDENTIALS, Address, Count, Degrees, Maybe, Positive
from lstfill.section import Section as Section
from lstfill.splitconfig import Block as Block
from lstfill.splitconfig import Buffer as Buffer
from lstfill.splitconfig import Fractions as Fractions
from lstfill.splitconfig import HeldOutGaps as HeldOutGaps
from lstfill.splitconfig import Split as Split


def _number_if_digits(value: Any) -> Any:
    # A parameter of Kubeflow has one type; a format is "source", "2" or "3" there.
    return int(value) if isinstance(value, str) and value.isdigit() else value


_CUT_OTHERWISE = {"time": "source.time", "lat": "source.bbox_deg", "lon": "source.bbox_deg"}


class ZarrOptions(Section):
    """How to read the source where its metadata leaves it open."""

    consolidated: bool | None = Field(None, description="read consolidated metadata; null tries, then lists the store")
    zarr_format: Literal[2, 3] | None = Field(None, description="Zarr format of the source; null finds out")
    group: Maybe[str] = Field(None, description="group inside the store that holds the variables")


class WorkChunks(Section):
    """Chunk sizes in cells; 0 keeps the source's."""

    time: Count = Field(0, description="steps a chunk; 0 keeps the source's chunk size")
    lat: Count = Field(0, description="rows a chunk; 0 keeps the source's chunk size")
    lon: Count = Field(0, description="columns a chunk; 0 keeps the source's chunk size")


class Source(Section):
    """The cube to fill, and which part of it."""

    uri: Address = Field(min_length=1, description="address of the cube: s3://, https:// or a path; Zarr format 2 or 3")
    target: str = Field("land_surface_temperature", description="variable whose gaps are filled")
    features: list[str] = Field(["air_temperature_2m"], description="complete variables the target is learned from")
    covariates: list[str] = Field(
        [], description="further variables that models of neighbours use, with time or without: elevation, land cover"
    )
    extras: list[str] = Field([], description="further variables to carry along: masks, a truth, artificial gaps")
    select: dict[str, float | str] = Field(
        {}, description="for each further dimension of a variable, the coordinate to take: {gap_level: 96}"
    )
    time: Maybe[tuple[str, str]] = Field(None, description="first and last date, both included; null takes all")
    bbox_deg: Maybe[tuple[Degrees, Degrees, Degrees, Degrees]] = Field(
        None, description="west, south, east, north in degrees; west > east crosses the date line; null takes all"
    )
    valid_range_k: tuple[float, float] = Field((180.0, 345.0), description="values outside, in K, become missing")
    units: dict[str, str] = Field({}, description="unit of a variable whose attribute is missing or wrong, by name")
    endpoint_url: Maybe[Address] = Field(
        None, description="S3 endpoint of the source; null is AWS if anonymous, else that of the environment"
    )
    anonymous: bool = Field(False, description="read a public bucket without signing")
    chunks: WorkChunks = Field(WorkChunks(), description="chunks of the work cube and of the filled cube")
    zarr_options: ZarrOptions = Field(ZarrOptions(), description="how to open the store")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        named = [self.target, *self.features, *self.covariates]
        if len(set(named)) != len(named):
            raise ValueError(f"target, features and covariates must differ from each other, got {named}")
        if taken := [dim for dim in self.select if dim in _CUT_OTHERWISE]:
            raise ValueError(f"select names {taken[0]!r}, which {_CUT_OTHERWISE[taken[0]]} cuts: name it there")
        if self.valid_range_k[0] >= self.valid_range_k[1]:
            raise ValueError(f"valid_range_k must grow, got {list(self.valid_range_k)}: give [lowest, highest] in K")
        if self.bbox_deg and self.bbox_deg[1] >= self.bbox_deg[3]:
            raise ValueError(
                f"bbox_deg has south {self.bbox_deg[1]} >= north {self.bbox_deg[3]}: give [west, south, east, north]"
            )
        return self

    def variables(self) -> list[str]:
        """Names of all variables of the work cube: target, features, covariates, extras, each once."""
        return list(dict.fromkeys([self.target, *self.features, *self.covariates, *self.extras]))


class Mask(Section):
    """Where the target has a meaning."""

    kind: Literal["globe", "variable", "none"] = Field(
        "globe", description="land from global-land-mask, from a variable of the cube, or every cell"
    )
    variable: Maybe[str] = Field(
        None, description="for kind variable: its name; cells with a finite value other than 0 are land"
    )
    exclude: list[str] = Field([], description="variables whose non-zero cells are taken out: ice sheets, lakes")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.kind == "variable") != (self.variable is not None):
            raise ValueError(
                f"kind {self.kind!r} with variable {self.variable!r}: "
                "'variable' goes with kind 'variable' and only with it"
            )
        return self

    def variables(self) -> list[str]:
        """Names of the cube's variables that the mask is made from."""
        return [*([self.variable] if self.variable else []), *self.exclude]


class Preprocess(Section):
    """From the cube to samples."""

    missing: Literal["drop", "mean", "constant"] = Field(
        "drop", description="cells with a missing feature: dropped, or imputed (never the target)"
    )
    constant: float | None = Field(None, description="for missing constant: the value put in, in the feature's unit")
    scaling: Literal["standardize", "normalize", "none", "custom"] = Field(
        "standardize", description="mean 0 and deviation 1, range 0 to 1, none, or a function of yours"
    )
    custom: Maybe[str] = Field(
        None, description="for scaling custom: module:function, from statistics to offset and scale"
    )
    max_samples: Count = Field(0, description="most samples a part, drawn evenly over space and time; 0 takes all")
    seed: Count = Field(0, description="seed of the order of the samples")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.missing == "constant") != (self.constant is not None):
            raise ValueError(
                f"missing {self.missing!r} with constant {self.constant}: "
                "'constant' goes with missing 'constant' and only with it"
            )
        if (self.scaling == "custom") != (self.custom is not None):
            raise ValueError(
                f"scaling {self.scaling!r} with custom {self.custom!r}: "
                "'custom' goes with scaling 'custom' and only with it"
            )
        if self.custom is not None and self.custom.count(":") != 1:
            raise ValueError(f"custom {self.custom!r} is not of the form module:function")
        return self


class Train(Section):
    """The model and its fit."""

    model: ModelName = Field(
        "linear", description="linear: one Dense(1) on the features; which of the others suits a cube: docs/models"
    )
    compare: list[ModelName] = Field([], description="further models to fit and to score beside, on the same cells")
    pretrained: Maybe[str] = Field(
        None,
        description="a model to use as it is, nothing is fitted: models:/name@alias or a model directory's address",
    )
    epochs: Positive = Field(10, description="most passes over the training samples; a line of millions needs fewer")
    batch_size: Positive = Field(8192, description="samples a step")
    learning_rate: Annotated[float, Field(gt=0)] = Field(
        0.1, description="of Adam at the start; it decays to 1 % by a cosine over the epochs"
    )
    patience: Count = Field(
        5, description="epochs without a better validation loss before the fit stops; the best weights are kept"
    )
    seed: Count = Field(0, description="seed of the initial weights and of the order of batches")
    register_as: Maybe[str] = Field(None, description="name in the model registry; null registers nothing")
    alias: Maybe[str] = Field(
        None, description="alias that the registered version gets if it passes the gate (evaluate.gate)"
    )
    tiles: Tiles = Field(Tiles(), description="pieces that models of neighbours work on")
    calibration: Calibration = Field(Calibration(), description="where the uncertainty comes from")
    mlp: Mlp = Field(Mlp(), description="options of model mlp")
    harmonic: Harmonic = Field(Harmonic(), description="options of model harmonic")
    boosting: Boosting = Field(Boosting(), description="options of model boosting")
    local: Local = Field(Local(), description="options of model local")
    ensemble: Ensemble = Field(Ensemble(), description="options of model ensemble")

    def models(self) -> list[ModelName]:
        """Names of all models to fit, the one that fills first, each once."""
        return list(dict.fromkeys([self.model, *self.compare]))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.alias and not self.register_as:
            raise ValueError(f"alias {self.alias!r} without register_as: give the name to register the model under")
        if self.pretrained and self.register_as:
            raise ValueError(
                f"register_as {self.register_as!r} with pretrained {self.pretrained!r}: "
                "nothing new is trained to register"
            )
        return self


Baseline = Literal["feature", "date_mean", "cell_mean", "temporal_interpolation"]
Group = Literal["latitude", "season", "gap_size", "distance", "days"]


class Gate(Section):
    """What a new model must show to get the alias ``train.alias`` from the one that has it."""

    level: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.05, description="largest p of the paired test that the new model's absolute error is not smaller"
    )
    margin_k: Annotated[float, Field(ge=0)] = Field(
        0.1, description="most by which the mean absolute error of any group in evaluate.groups may be larger, in K"
    )


class Evaluate(Section):
    """What the scores are compared with, and how they are broken down."""

    baselines: list[Baseline] = Field(
        ["feature", "date_mean", "cell_mean", "temporal_interpolation"],
        description="what the model must beat, scored on the same cells",
    )
    groups: list[Group] = Field(
        ["latitude", "season", "gap_size", "distance", "days"], description="break-downs of the scores"
    )
    map_date: Maybe[str] = Field(
        None, description="date of the report's maps; null takes the one with the most scored cells"
    )
    gate: Gate = Field(Gate(), description="what a new model must show to get its alias")


class Predict(Section):
    """The filled cube."""

    zarr_format: Annotated[Literal["source", 2, 3], BeforeValidator(_number_if_digits)] = Field(
        "source", description="Zarr format of the filled cube"
    )
    write: Literal["filled", "filled+observed", "filled+observed+features"] = Field(
        "filled", description="filled values with flag and uncertainty; also the target as observed; also the features"
    )


class Tracking(Section):
    """Where runs are recorded."""

    uri: Maybe[Address] = Field(
        None, description="MLflow tracking server; null takes MLFLOW_TRACKING_URI, then SQLite in the workspace"
    )
    experiment: str = Field("lstfill", min_length=1, description="experiment the run belongs to")


class Config(Section):
    """The whole configuration of a run."""

    source: Source = Field(description="the cube to fill, and which part of it")
    mask: Mask = Field(Mask(), description="where the target has a meaning")
    split: Split = Field(Split(), description="which cells train, validate and test")
    preprocess: Preprocess = Field(Preprocess(), description="from the cube to samples")
    train: Train = Field(Train(), description="the model and its fit")
    evaluate: Evaluate = Field(Evaluate(), description="baselines and break-downs")
    predict: Predict = Field(Predict(), description="the filled cube")
    cluster: Cluster = Field(Cluster(), description="where chunks are worked on")
    tracking: Tracking = Field(Tracking(), description="where runs are recorded")

    @model_validator(mode="after")
    def _model_has_features(self) -> Self:
        wanting = [name for name in self.train.models() if name in NEEDS_FEATURES]
        if wanting and not self.source.features:
            fact = f"model {wanting[0]!r} with source.features []"
            raise ValueError(f"{fact}: name at least one variable to learn from, or choose another model")
        return self

    def carried_extras(self) -> list[str]:
        """The extras that ingest has to carry: the named ones and those that mask and split are made from."""
        wanted = [*self.source.extras, *self.mask.variables(), *self.split.held_out_gaps.variables()]
        own = (self.source.target, *self.source.features, *self.source.covariates)
        return [name for name in dict.fromkeys(wanted) if name not in own]


SectionT = TypeVar("SectionT", bound=Section)


def build(section: type[SectionT], values: Mapping[str, Any], origin: str = "configuration") -> SectionT:
    """Checks a mapping against a section and names every key that does not fit.

    Args:
        section: the model to build, a section or the whole ``Config``.
        values: keys and values, as read from YAML, JSON or Kubeflow parameters.
        origin: what the values are called in the message, a file name for instance.

    Raises:
        ConfigError: listing each key with its value and what is wrong with it.
    """
    try:
        return section.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(f"{origin}: " + _explain(error, section)) from None


def _explain(error: ValidationError, section: type[Section]) -> str:
    lines = [_explain_one(item, section) for item in error.errors(include_url=False)]
    return lines[0] if len(lines) == 1 else f"{len(lines)} issues\n" + "\n".join(f"  - {line}" for line in lines)


def _explain_one(item: Any, section: type[Section]) -> str:
    key = ".".join(str(part) for part in item["loc"]) or section.__name__.lower()
    if item["type"] == "extra_forbidden":
        return f"unknown key {key!r}; known there: {', '.join(_known(section, item['loc'][:-1]))}"
    if item["type"] == "missing":
        return f"{key!r} is required"
    message = item["msg"].removeprefix("Value error, ")
    # What was given is repeated, but not a whole section, and never a password.
    hidden = isinstance(item["input"], Mapping) or item["type"] == CREDENTIALS
    return f"{key}: {message}" + ("" if hidden else f", got {item['input']!r}")


def _known(section: type[Section], path: tuple[Any, ...]) -> list[str]:
    model: Any = section
    for part in path:
        model = model.model_fields[part].annotation
    return list(model.model_fields)
