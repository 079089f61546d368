"""The one door to MLflow: where runs are recorded, what a run holds, and the model registry."""

from lstfill.tracking.aliases import Alias
from lstfill.tracking.models import LoggedModel, Serving, fetch_model
from lstfill.tracking.runs import RunHandle, open_run
from lstfill.tracking.uri import redact, resolve_uri

__all__ = ["Alias", "LoggedModel", "RunHandle", "Serving", "fetch_model", "open_run", "redact", "resolve_uri"]
