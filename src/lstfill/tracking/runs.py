"""A run of the pipeline in MLflow: created by the first task that records, joined by the others."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from lstfill.errors import TrackingError
from lstfill.tracking.client import connect, error_code, translated
from lstfill.tracking.lineage import lineage_inputs, lineage_tags
from lstfill.tracking.models import LoggedModel, Serving, log_model
from lstfill.tracking.uri import artifact_root, redact
from lstfill.tracking.values import metrics, parameters

_log = logging.getLogger(__name__)

# Marks the runs that we created and so have to end, whichever task does it.
CREATED_HERE = "lstfill.created"
# What MLflow's runs table groups by (mlflow.utils.mlflow_tags.MLFLOW_PARENT_RUN_ID), and what it compares here.
_PARENT, _MODEL = "mlflow.parentRunId", "model"
# Most entries a request (mlflow.utils.validation: MAX_PARAMS_TAGS_PER_BATCH, MAX_METRICS_PER_BATCH).
_PARAMETERS_A_REQUEST = 100
_METRICS_A_REQUEST = 1000
# A run to join was recorded by a server that was there: a restart is waited for, rather than hours of work lost.
_RESTART_S = 60.0
T = TypeVar("T")


@contextmanager
def open_run(
    uri: str, experiment: str, run_name: str, tags: Mapping[str, str] | None = None, run_id: str | None = None
) -> Iterator[RunHandle]:
    """Joins the run of this pipeline, or creates it, and ends it as what became of the body.

    The run named by ``MLFLOW_RUN_ID`` comes first, then ``run_id``, then a new one. A run that something else created
    (a platform) is joined but never ended here.

    Args:
        uri: address of the tracking server, from ``resolve_uri``.
        experiment: where a new run belongs; made if it does not exist.
        run_name: name of a new run.
        tags: set on the run, new or joined.
        run_id: the run that an earlier task created or joined.

    Raises:
        TrackingError: no server answers within seconds, or within a minute if there is a run to join; it refuses; or
            the run to join is not there.
    """
    wanted = os.environ.get("MLFLOW_RUN_ID", "").strip() or run_id
    client = connect(uri, _RESTART_S if wanted else 0.0)
    with translated(uri, "open a run"):
        run = _join(client, uri, wanted) if wanted else _create(client, uri, experiment, run_name)
        handle = RunHandle(client, uri, run, client.get_experiment(run.info.experiment_id).name)
        _set_tags(client, run.info.run_id, tags or {})
    owned = run.data.tags.get(CREATED_HERE) == "true"
    try:
        yield handle
    except BaseException as error:
        _end(client, uri, run.info.run_id, "FAILED" if isinstance(error, Exception) else "KILLED", owned)
        raise
    _end(client, uri, run.info.run_id, "FINISHED", owned)


def _create(client: Any, uri: str, experiment: str, run_name: str) -> Any:
    experiment_id = _experiment_id(client, uri, experiment)
    return client.create_run(experiment_id, run_name=run_name, tags={CREATED_HERE: "true"})


def _experiment_id(client: Any, uri: str, name: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=artifact_root(uri)))
        except MlflowException as error:
            if error_code(error) != "RESOURCE_ALREADY_EXISTS":
                raise
            # Another task of the same pipeline was faster.
            found = client.get_experiment_by_name(name)
    if found.lifecycle_stage != "active":
        raise TrackingError(
            f"the experiment {name!r} at {redact(uri)} is deleted; restore it, or name another in tracking.experiment"
        )
    return str(found.experiment_id)


def _join(client: Any, uri: str, run_id: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error_code(error) not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        run = None
    if run is None or run.info.lifecycle_stage != "active":
        raise TrackingError(
            f"the run {run_id} is not at {redact(uri)}: it was deleted, or recorded elsewhere by a task whose cached "
            "result outlived it; unset MLFLOW_RUN_ID if it names a wrong run, or run again without caching"
        )
    if run.data.tags.get(CREATED_HERE) == "true":
        client.update_run(run_id, status="RUNNING")
    return run


def _set_tags(client: Any, run_id: str, tags: Mapping[str, Any]) -> None:
    from mlflow.entities import RunTag

    if tags:
        client.log_batch(run_id, tags=[RunTag(key, redact(str(value))) for key, value in tags.items()])


def _end(client: Any, uri: str, run_id: str, status: str, owned: bool) -> None:
    if not owned:
        return
    try:
        with translated(uri, f"end the run as {status}"):
            client.set_terminated(run_id, status)
    except TrackingError:
        if status == "FINISHED":
            raise
        # What made the body fail matters more than that its end could not be noted.
        _log.warning("run %s could not be ended as %s", run_id, status, exc_info=True)


class RunHandle:
    """A run that is open: what is logged through it belongs to it.

    Attributes:
        run_id: the run's identifier, for the pointer that later tasks join by.
        uri: address of the server without user and password, fit to be shown and stored.
        experiment: name of the experiment that the run is in.
        experiment_id: its identifier.
    """

    def __init__(self, client: Any, uri: str, run: Any, experiment: str) -> None:
        self.run_id: str = run.info.run_id
        self.uri = redact(uri)
        self.experiment = experiment
        self.experiment_id: str = run.info.experiment_id
        self._client = client
        self._raw_uri = uri

    def __repr__(self) -> str:
        return f"RunHandle(run_id={self.run_id!r}, uri={self.uri!r}, experiment={self.experiment!r})"

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Logs the configuration, flat as parameters and whole as ``config.json``; twice does no harm.

        A parameter cannot change in MLflow: where a run was joined that has another value, the first one stays and a
        warning says so; ``config.json`` has the last.
        """
        wanted = parameters(config)
        with self._doing("log the configuration"):
            present = self._client.get_run(self.run_id).data.params
        for name in sorted(name for name in wanted if present.get(name, wanted[name]) != wanted[name]):
            _log.warning("run %s keeps %s = %s, not %s", self.run_id, name, present[name], wanted[name])
        self._log_parameters({name: value for name, value in wanted.items() if name not in present})
        self.log_json(config, "config.json")

    def _log_parameters(self, values: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        with self._doing("log parameters"):
            for batch in _batches([Param(*item) for item in values.items()], _PARAMETERS_A_REQUEST):
                self._client.log_batch(self.run_id, params=batch)

    def log_metrics(self, values: Mapping[str, Any], step: int = 0) -> None:
        """Logs numbers under ``a/b`` names of a nested mapping; None and NaN are left out.

        Args:
            values: names to numbers, nested as deep as you like.
            step: the epoch for the metrics of training.
        """
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        with self._doing("log metrics"):
            entries = [Metric(name, value, now, step) for name, value in metrics(values).items()]
            for batch in _batches(entries, _METRICS_A_REQUEST):
                self._client.log_batch(self.run_id, metrics=batch)

    def log_files(self, files: Mapping[str, bytes | str]) -> None:
        """Stores small files in one go, a report with its pictures for instance.

        Args:
            files: content by name, as ``figures/map.png``. A text is stored as UTF-8, and user and password of any
                address in it are replaced; bytes stay as they are.
        """
        with self._doing(f"log {', '.join(files)}"), tempfile.TemporaryDirectory() as scratch:
            for name, content in files.items():
                file = Path(scratch, name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(redact(content).encode() if isinstance(content, str) else content)
            self._client.log_artifacts(self.run_id, scratch)

    def log_text(self, text: str, artifact: str) -> None:
        """Stores a text or an HTML page; user and password of any address in it are replaced."""
        self.log_files({artifact: text})

    def log_json(self, value: Any, artifact: str) -> None:
        """Stores a value as indented JSON; user and password of any address in it are replaced."""
        self.log_text(json.dumps(value, indent=2, default=str, ensure_ascii=False) + "\n", artifact)

    def log_directory(self, directory: Path, artifact: str) -> None:
        """Stores the files of a directory, TensorBoard's logs for instance."""
        with self._doing(f"log {artifact}"):
            self._client.log_artifacts(self.run_id, str(directory), artifact)

    def log_lineage(
        self,
        *,
        identity: str,
        source: str,
        mask_digest: str | None = None,
        split_digest: str | None = None,
        split_report: Mapping[str, Any] | None = None,
    ) -> None:
        """Records which data the run stands on: the cube as a dataset input, the digests as tags, the split's report.

        Args:
            identity: of the work cube's content.
            source: address the cube was taken from.
            mask_digest: of the land mask.
            split_digest: of the table of blocks.
            split_report: reached shares, stored as ``split.json``.
        """
        digests = {"cube_identity": identity, "mask_digest": mask_digest, "split_digest": split_digest}
        with self._doing("log the lineage"):
            self._client.log_inputs(self.run_id, lineage_inputs(redact(source), digests))
            _set_tags(self._client, self.run_id, lineage_tags(source, digests))
        if split_report is not None:
            self.log_json(split_report, "split.json")

    def log_model(
        self,
        directory: Path,
        name: str,
        serving: Serving,
        register_as: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> LoggedModel:
        """Logs a model directory and registers it, without an alias (``lstfill.tracking.models.log_model``)."""
        with self._doing("log the model"):
            run = (self.run_id, self.experiment_id)
            return log_model(self._client, run, directory, name, serving, register_as, dict(tags or {}))

    @contextmanager
    def child(self, model: str) -> Iterator[RunHandle]:
        """A run below this one for one of its models, made or joined, so that a table of runs compares the models.

        Args:
            model: name of the model, by which later tasks find the same run again; it becomes the tag ``model``.

        Raises:
            TrackingError: the server cannot be reached, or refuses.
        """
        with self._doing(f"open the run of model {model}"):
            run = self._child_of(model)
        run_id = run.info.run_id
        try:
            yield RunHandle(self._client, self._raw_uri, run, self.experiment)
        except BaseException as error:
            _end(self._client, self._raw_uri, run_id, "FAILED" if isinstance(error, Exception) else "KILLED", True)
            raise
        _end(self._client, self._raw_uri, run_id, "FINISHED", True)

    def _child_of(self, model: str) -> Any:
        tags = {_PARENT: self.run_id, _MODEL: model}
        wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        found = self._client.search_runs([self.experiment_id], wanted, max_results=1)
        if not found:
            return self._client.create_run(self.experiment_id, run_name=model, tags=tags)
        self._client.update_run(found[0].info.run_id, status="RUNNING")
        return found[0]

    @contextmanager
    def _doing(self, what: str) -> Iterator[None]:
        with translated(self._raw_uri, what):
            yield


def _batches(items: Sequence[T], size: int) -> Iterator[list[T]]:
    for first in range(0, len(items), size):
        yield list(items[first : first + size])
