"""A Kubeflow Pipelines endpoint, by KFP's own client: quiet, bounded in time, and silent about secrets."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import kfp
import urllib3
from kfp.client import TokenCredentialsBase
from kfp_server_api import ApiException, rest

from lstfill.errors import ConfigError
from pipelines.access import Access, own_namespace
from pipelines.refusals import ServiceError, not_an_api, refused, unreached

HEALTH_TIMEOUT_S = (5, 10)
"""Seconds to connect and to answer when a session begins."""
TIMEOUT_S = (5, 30)
"""The same for each request of it."""

_Found = TypeVar("_Found")


class _Token(TokenCredentialsBase):
    """Hands KFP's client the token as it is at each request."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def refresh_api_key_hook(self, config: Any) -> None:
        config.api_key["authorization"] = self._access.bearer()


class _Transport(rest.RESTClientObject):
    """Every request of a client: bounded in time, not redirected to a login page, its failures in words."""

    def __init__(self, configuration: Any, access: Access) -> None:
        configuration.retries = urllib3.Retry(
            total=3, connect=1, read=0, other=0, redirect=False, backoff_factor=0.3,
            status_forcelist=(502, 503, 504), raise_on_status=False,
        )  # fmt: skip
        super().__init__(configuration)
        self._access = access

    def request(self, method: str, url: str, **given: Any) -> Any:
        given["_request_timeout"] = given.get("_request_timeout") or TIMEOUT_S
        try:
            answer = super().request(method, url, **given)
        except ApiException as error:
            raise refused(self._access, error) from None
        except urllib3.exceptions.HTTPError as error:
            raise unreached(self._access, error) from None
        if not _is_object(answer.data):
            raise not_an_api(self._access)
        return answer


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False


class _Client(kfp.Client):
    """KFP's client without its own retries of the health check, and without its file in the home directory."""

    def __init__(self, access: Access) -> None:
        self._access = access
        super().__init__(
            host=access.host,
            cookies=access.cookie,
            credentials=_Token(access) if access.bearer() else None,
            ssl_ca_cert=str(access.ca) if access.ca else None,
        )

    def get_kfp_healthz(self, sleep_duration: int = 0) -> Any:  # noqa: ARG002  # KFP's signature
        """Asks once. All parts of the client share one transport, which is bounded from here on."""
        api = self._healthz_api.api_client
        if not isinstance(api.rest_client, _Transport):
            api.rest_client = _Transport(api.configuration, self._access)
        return self._healthz_api.healthz_service_get_healthz(_request_timeout=HEALTH_TIMEOUT_S)

    def set_user_namespace(self, namespace: str) -> None:
        """Keeps the namespace for this session alone."""
        self._context_setting["namespace"] = namespace


@dataclass(frozen=True)
class Order:
    """What a run is made of.

    Attributes:
        package: the compiled pipeline.
        arguments: values by parameter.
        name: of the run or of the schedule.
        experiment: that the run belongs to.
        service_account: that its pods run as; None takes Kubeflow's own.
        pipeline_root: where Kubeflow keeps artifacts; None takes Kubeflow's own.
        caching: False runs every step anew, None leaves it to the package.
    """

    package: Path
    arguments: Mapping[str, Any]
    name: str
    experiment: str
    service_account: str | None = None
    pipeline_root: str | None = None
    caching: bool | None = None

    def settings(self) -> dict[str, Any]:
        """What KFP's client takes for a run and for a schedule alike."""
        return {
            "pipeline_root": self.pipeline_root,
            "enable_caching": self.caching,
            "service_account": self.service_account,
        }


@dataclass(frozen=True)
class Service:
    """An endpoint that answered.

    Attributes:
        access: how it is reached.
        client: KFP's client.
        namespace: of the requests; None where the endpoint has one user and takes no namespace.
    """

    access: Access
    client: kfp.Client
    namespace: str | None

    def submit(self, order: Order) -> str:
        """Starts a run and returns its identifier.

        Raises:
            ServiceError: if the endpoint refuses.
        """
        with _quiet():
            result = self.client.create_run_from_pipeline_package(
                str(order.package),
                arguments=dict(order.arguments),
                run_name=order.name,
                experiment_name=order.experiment,
                namespace=self.namespace,
                **order.settings(),
            )
        return str(result.run_id)

    def run(self, run_id: str) -> Any:
        """A run as the API describes it.

        Raises:
            ServiceError: if there is no such run, or the endpoint does not answer.
        """
        try:
            return self.client.get_run(run_id)
        except ServiceError as error:
            if error.status != 404:
                raise
            raise ServiceError(
                404, f"there is no run {run_id!r} at {self.access.host}: its address ends with its identifier"
            ) from None

    def upload(self, package: Path, name: str, version: str) -> tuple[str, bool]:
        """Uploads a pipeline the first time, a version of it after.

        Args:
            package: the compiled pipeline.
            name: of the pipeline.
            version: name of the version; one that is there already is left as it is.

        Returns:
            The address of the version in the user interface, and whether it is new.
        """
        pipeline = _named(self.client.list_pipelines(filter=_is(name), namespace=self.namespace).pipelines, name)
        with _quiet():
            if pipeline is None:
                made = self.client.upload_pipeline(str(package), pipeline_name=name, namespace=self.namespace)
                return self._page(f"pipelines/details/{made.pipeline_id}"), True
            versions = self.client.list_pipeline_versions(pipeline.pipeline_id, filter=_is(version))
            found = _named(versions.pipeline_versions, version)
            made = found or self.client.upload_pipeline_version(str(package), version, pipeline_id=pipeline.pipeline_id)
        where = f"pipelines/details/{pipeline.pipeline_id}/version/{made.pipeline_version_id}"
        return self._page(where), found is None

    def schedule(self, order: Order, trigger: Mapping[str, Any], max_concurrency: int) -> str:
        """Starts a run again and again, and returns the schedule's address; a missed time is not made up for.

        Args:
            order: what each run is made of.
            trigger: ``cron_expression`` with six fields, or ``interval_second``.
            max_concurrency: most runs of it at a time.

        Raises:
            ServiceError: if there is a schedule of that name already, or the endpoint refuses.
        """
        with _quiet():
            experiment = self.client.create_experiment(order.experiment, namespace=self.namespace).experiment_id
            self._refuse_second(experiment, order.name)
            made = self.client.create_recurring_run(
                experiment_id=experiment,
                job_name=order.name,
                pipeline_package_path=str(order.package),
                params=dict(order.arguments),
                max_concurrency=max_concurrency,
                no_catchup=True,
                **trigger,
                **order.settings(),
            )
        return self._page(_schedule(made))

    def _refuse_second(self, experiment: str, name: str) -> None:
        there = self.client.list_recurring_runs(experiment_id=experiment, filter=_is(name))
        if found := _named(there.recurring_runs, name):
            raise ServiceError(
                409,
                f"there is a schedule {name!r} already: {self._page(_schedule(found))}. "
                "Delete it there, or give this one another --name",
            )

    def address(self, run_id: str) -> str:
        """Where a person looks at a run."""
        return self._page(f"runs/details/{run_id}")

    def _page(self, where: str) -> str:
        return f"{self.access.ui}/#/{where}"


def connect(access: Access) -> Service:
    """Opens a session, after one short question whether the endpoint is there.

    Raises:
        ServiceError: if it cannot be reached, is no Kubeflow, or does not let the caller in.
        ConfigError: if it has many users and nothing says whose namespace is meant.
    """
    # What it tries again either works or ends in a message of ours; KFP's client resets the level of its parent.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    with _quiet():
        client = _Client(access)
        many = client.get_kfp_healthz().multi_user
        namespace = access.namespace or own_namespace() or client.get_user_namespace() if many else None
        client.set_user_namespace(namespace or "")
    if many and not namespace:
        raise ConfigError(f"Kubeflow at {access.host} has many users: give the namespace of yours as --namespace")
    return Service(access, client, namespace)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without KFP's links on standard output and its warnings; what it finds wrong by itself becomes a message."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except ValueError as error:
            raise ServiceError(400, f"Kubeflow's client refuses this: {error}") from None


def _is(name: str) -> str:
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]})


def _named(found: list[_Found] | None, name: str) -> _Found | None:
    return next((item for item in found or [] if getattr(item, "display_name", None) == name), None)


def _schedule(recurring: Any) -> str:
    return f"recurringrun/details/{recurring.recurring_run_id}"
