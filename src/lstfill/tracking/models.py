"""Models in MLflow: logged with the whole model directory inside, registered, and fetched back."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lstfill.errors import TrackingError
from lstfill.tracking.client import connect, error_code, quiet_mlflow, translated
from lstfill.tracking.uri import redact

# Where our files stand beside those of MLflow's layout, and what makes them complete.
_FOLDER = "lstfill"
_CARD = "model.json"
_NETWORK = "model.keras"
_MODEL_URI = re.compile(r"models:/+(?P<name>[^@/]+)(@(?P<alias>[^@/]+)|/(?P<version>[^@/]+))?")
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND")


@dataclass(frozen=True)
class LoggedModel:
    """Where a model went.

    Attributes:
        uri: for ``mlflow.pyfunc.load_model`` and ``fetch_model``: ``models:/NAME/VERSION``, or ``models:/ID`` of a
            model that was not registered.
        model_id: MLflow's identifier of the logged model.
        name: in the registry; None if not registered.
        version: in the registry; None if not registered.
    """

    uri: str
    model_id: str
    name: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class Serving:
    """How a model is asked through MLflow, by a table.

    Attributes:
        inputs: type of each column as MLflow names it (``double``, ``datetime``, ``any``), by name and in order.
        example: a few rows, column to values.
        outputs: type of each column of the answer; empty for one number a row.
        requirements: packages that it needs where it is asked.
        loader: module of this package that loads the model directory; None for a Keras network of the inputs.
    """

    inputs: Mapping[str, str]
    example: Mapping[str, Sequence[Any]]
    outputs: Mapping[str, str] = field(default_factory=dict)
    requirements: tuple[str, ...] = ("keras", "tensorflow", "numpy")
    loader: str | None = None


def log_model(
    client: Any,
    run: tuple[str, str],
    directory: Path,
    name: str,
    serving: Serving,
    register_as: str | None,
    tags: dict[str, str],
) -> LoggedModel:
    """Logs a model directory so that plain ``mlflow.pyfunc.load_model`` takes a table in K and gives K.

    Args:
        client: MLflow's client.
        run: identifiers of the run and of its experiment.
        directory: holds ``model.json`` and the weight files; stored whole, so that ``fetch_model`` gives it back.
        name: of the logged model, without ``/ : . % " '``.
        serving: how it is asked.
        register_as: name in the registry; None registers nothing.
        tags: of the logged model and of the version: cube identity, configuration hash.

    Raises:
        TrackingError: the directory is not that of a model.
    """
    _assert_complete(directory, str(directory), () if serving.loader else (_NETWORK,))
    from mlflow.entities import LoggedModelOutput

    tags = {key: redact(value) for key, value in tags.items()}
    model = client.create_logged_model(run[1], name=name, source_run_id=run[0], tags=tags, model_type="regressor")
    client.log_outputs(run[0], [LoggedModelOutput(model.model_id, step=0)])
    try:
        with tempfile.TemporaryDirectory() as scratch:
            _save(model, run[0], directory, serving, Path(scratch) / "model")
            client.log_model_artifacts(model.model_id, str(Path(scratch) / "model"))
    except BaseException:
        client.finalize_logged_model(model.model_id, "FAILED")
        raise
    client.finalize_logged_model(model.model_id, "READY")
    return _register(client, model, run[0], register_as, tags)


def _save(model: Any, run_id: str, directory: Path, serving: Serving, into: Path) -> None:
    """Writes MLflow's layout; requirements are given, since inferring them would start a process and load all again."""
    import pandas as pd
    from mlflow.models import Model

    layout = Model(
        artifact_path=model.artifact_location, run_id=run_id, model_id=model.model_id, signature=_signature(serving)
    )
    options = {
        "mlflow_model": layout,
        "input_example": pd.DataFrame({column: serving.example[column] for column in serving.inputs}),
        "pip_requirements": [_requirement(package) for package in serving.requirements],
        "metadata": {"lstfill": json.loads((directory / _CARD).read_text(encoding="utf-8"))},
    }
    into.mkdir()  # the Keras flavour writes the example before it makes its directory
    if serving.loader is None:
        _save_network(directory, into, options)
        shutil.copytree(directory, into / _FOLDER)
    else:
        _save_loaded(directory, into, serving.loader, options)


def _save_network(directory: Path, into: Path, options: dict[str, Any]) -> None:
    import keras
    import mlflow.keras

    with _without_warning_of_no_signature():
        mlflow.keras.save_model(keras.models.load_model(directory / _NETWORK, compile=False), str(into), **options)


def _save_loaded(directory: Path, into: Path, loader: str, options: dict[str, Any]) -> None:
    """Any other model, with the code of this package: whoever loads it needs no more than the requirements."""
    import lstfill

    mlflow = quiet_mlflow()
    into.rmdir()
    package = str(Path(lstfill.__file__).parent)
    mlflow.pyfunc.save_model(str(into), loader_module=loader, data_path=str(directory), code_paths=[package], **options)
    # MLflow calls it data/NAME: one copy is enough for both ways to load it.
    layout = options["mlflow_model"]
    flavor = layout.flavors["python_function"]
    (into / flavor["data"]).rename(into / _FOLDER)
    flavor["data"] = _FOLDER
    layout.save(str(into / "MLmodel"))


@contextmanager
def _without_warning_of_no_signature() -> Iterator[None]:
    """The flavour refuses a signature of columns as an argument, and warns of none though the layout has one."""
    logger = logging.getLogger("mlflow.keras.save")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _signature(serving: Serving) -> Any:
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    outputs = _columns(serving.outputs) if serving.outputs else [TensorSpec(np.dtype(np.float32), (-1, 1))]
    return ModelSignature(Schema(_columns(serving.inputs)), Schema(outputs))


def _columns(types: Mapping[str, str]) -> list[Any]:
    from mlflow.types import ColSpec
    from mlflow.types.schema import AnyType

    # double takes float32 and float64 columns alike; a signature of float would refuse what pandas makes by default.
    return [ColSpec(AnyType() if of == "any" else of, column) for column, of in types.items()]


def _requirement(package: str) -> str:
    """The pinned requirement under the package's common name, even where a build with another name is installed."""
    for candidate in (package, f"{package}-cpu"):
        try:
            return f"{package}=={importlib.metadata.version(candidate)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return package


def _register(client: Any, model: Any, run_id: str, register_as: str | None, tags: dict[str, str]) -> LoggedModel:
    if register_as is None:
        return LoggedModel(f"models:/{model.model_id}", model.model_id)
    _ensure_registered(client, register_as)
    version = client.create_model_version(
        register_as, model.artifact_location, run_id=run_id, tags=tags, model_id=model.model_id
    ).version
    return LoggedModel(f"models:/{register_as}/{version}", model.model_id, register_as, str(version))


def _ensure_registered(client: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error_code(error) != "RESOURCE_ALREADY_EXISTS":
            raise


def fetch_model(model_uri: str, tracking_uri: str, into: Path) -> Path:
    """Fetches a model directory from the registry.

    Args:
        model_uri: ``models:/NAME@ALIAS``, ``models:/NAME/VERSION`` or ``models:/ID``.
        tracking_uri: address of the server, from ``resolve_uri``.
        into: directory the files are put under; made if needed.

    Returns:
        The directory with ``model.json`` and the weight files.

    Raises:
        TrackingError: no server, no such name, alias or version (and which there are), or no model of this package.
    """
    parts = _MODEL_URI.fullmatch(model_uri)
    if parts is None:
        raise TrackingError(
            f"{model_uri!r} is no address of a registered model: give models:/NAME@ALIAS or models:/NAME/VERSION"
        )
    client = connect(tracking_uri)
    with translated(tracking_uri, f"fetch {model_uri}"):
        location = _location(client, model_uri, parts, tracking_uri)
        found = _download(location, f"{model_uri} at {redact(tracking_uri)}", tracking_uri, into)
    _assert_complete(found, f"{model_uri} at {redact(tracking_uri)}")
    return found


def _location(client: Any, model_uri: str, parts: re.Match[str], tracking_uri: str) -> str:
    """Where the files of a registered version, or of a logged model, are."""
    from mlflow.exceptions import MlflowException

    name, alias, version = parts["name"], parts["alias"], parts["version"]
    try:
        if alias:
            version = client.get_model_version_by_alias(name, alias).version
        if version:
            return str(client.get_model_version_download_uri(name, version))
        return str(client.get_logged_model(name).artifact_location)
    except MlflowException as error:
        if error_code(error) not in _ABSENT:
            raise
        raise TrackingError(f"no model {model_uri} at {redact(tracking_uri)}: {_there_is(client, name)}") from None


def _download(location: str, model: str, tracking_uri: str, into: Path) -> Path:
    """Downloads our folder alone; what an earlier fetch left there goes, because MLflow does not clear it."""
    artifacts = quiet_mlflow().artifacts
    names = {entry.path.rsplit("/", 1)[-1] for entry in artifacts.list_artifacts(location, tracking_uri=tracking_uri)}
    if not names:
        raise TrackingError(f"{model}: its files are gone from {redact(location)}; train and register it again")
    if _FOLDER not in names:
        raise TrackingError(
            f"{model} is not a model of lstfill: it has no folder {_FOLDER!r}; give one that its train step registered"
        )
    shutil.rmtree(into / _FOLDER, ignore_errors=True)
    into.mkdir(parents=True, exist_ok=True)
    return Path(artifacts.download_artifacts(f"{location}/{_FOLDER}", dst_path=str(into), tracking_uri=tracking_uri))


def _there_is(client: Any, name: str) -> str:
    """What the registry has instead, for the message."""
    from mlflow.exceptions import MlflowException

    try:
        aliases = sorted(client.get_registered_model(name).aliases)
    except MlflowException:
        names = sorted(model.name for model in client.search_registered_models(max_results=100))
        return f"no model is registered as {name!r}; there are: {', '.join(names) or 'none'}"
    versions = sorted((int(found.version) for found in client.search_model_versions(f"name='{name}'")), reverse=True)
    shown = ", ".join(str(version) for version in versions[:10]) or "none"
    return f"{name!r} has the aliases: {', '.join(aliases) or 'none'}; the versions: {shown}"


def _assert_complete(directory: Path, where: str, needed: Sequence[str] = ()) -> None:
    missing = [name for name in (_CARD, *needed) if not (directory / name).is_file()]
    if missing:
        raise TrackingError(
            f"{where} is not a model of lstfill: it has no {' and no '.join(missing)}; "
            "give one that the train step made"
        )
