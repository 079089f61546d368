"""Options of the commands for Kubeflow, and what they lead to."""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstfill.errors import ConfigError, LstfillError

if TYPE_CHECKING:
    from pipelines.access import Access
    from pipelines.platform import Platform
    from pipelines.service import Order

NAME = "lstfill"
EXPERIMENT_DEFAULT, EXPERIMENT_OVERRIDE = (
    "KF_PIPELINES_DEFAULT_EXPERIMENT_NAME",
    "KF_PIPELINES_OVERRIDE_EXPERIMENT_NAME",
)


def add_platform_options(parser: argparse.ArgumentParser) -> None:
    """Adds what every command that compiles takes: the cluster's settings and the images."""
    parser.add_argument("--platform", type=Path, metavar="FILE", help="settings of the cluster (YAML)")
    parser.add_argument("--registry", help="registry of the images, like registry.example.org/science/")
    parser.add_argument("--tag", help="tag of the images: a version or a commit (default: this version)")
    parser.add_argument("--light-image", metavar="NAME", help="whole name of the image of the steps without Keras")
    parser.add_argument("--ml-image", metavar="NAME", help="whole name of the image of the steps with Keras")


def add_access_options(parser: argparse.ArgumentParser) -> None:
    """Adds what every command that talks to Kubeflow takes; tokens come from files and the environment alone."""
    parser.add_argument("--host", help="address of Kubeflow Pipelines (default: KF_PIPELINES_ENDPOINT)")
    parser.add_argument("--ui", help="address for links (default: KF_PIPELINES_UI_ENDPOINT, or the host)")
    parser.add_argument("--namespace", help="namespace of the runs (default: KF_PIPELINES_NAMESPACE)")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="holds a token (default: LSTFILL_KFP_TOKEN)")
    parser.add_argument(
        "--cookie-file", type=Path, metavar="FILE", help="holds a session's cookie (default: LSTFILL_KFP_COOKIE)"
    )
    parser.add_argument("--ca-certificate", type=Path, metavar="FILE", help="authorities to trust (PEM)")


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Adds what a run is made of."""
    parser.add_argument("--config", type=Path, help="configuration file (YAML)")
    parser.add_argument(
        "-p",
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the pipeline",
    )
    parser.add_argument("--workspace", help="where the steps write: s3://bucket/prefix")
    parser.add_argument("--experiment", help=f"experiment of Kubeflow (default: {EXPERIMENT_DEFAULT}, or {NAME})")
    parser.add_argument("--service-account", metavar="NAME", help="that the pods run as (default: Kubeflow's own)")
    parser.add_argument("--pipeline-root", metavar="ADDRESS", help="where Kubeflow keeps artifacts (default: its own)")


def seconds(text: str) -> float:
    """A number of seconds on a command line.

    Raises:
        argparse.ArgumentTypeError: if it is none, or negative.
    """
    with contextlib.suppress(ValueError):
        if 0 <= (value := float(text)) < float("inf"):
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")


def count(text: str) -> int:
    """A number of at least one on a command line.

    Raises:
        argparse.ArgumentTypeError: if it is none.
    """
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")


def platform_of(options: argparse.Namespace) -> Platform:
    """The settings that the options of ``add_platform_options`` lead to."""
    from pipelines import platform

    settings = platform.load(options.platform)
    return settings.with_images(
        registry=options.registry, tag=options.tag, light=options.light_image, ml=options.ml_image
    )


def access_of(options: argparse.Namespace) -> Access:
    """How Kubeflow is reached, from the options of ``add_access_options`` and the environment."""
    from pipelines.access import access

    return access(
        host=options.host,
        ui=options.ui,
        namespace=options.namespace,
        ca=options.ca_certificate,
        token_file=options.token_file,
        cookie_file=options.cookie_file,
    )


def arguments_of(options: argparse.Namespace) -> dict[str, Any]:
    """The pipeline's arguments: the configuration's, then each parameter given by name; all of them checked.

    Raises:
        ConfigError: if something does not fit, or lies where a pod cannot see it.
    """
    from lstfill.configfile import load
    from pipelines.parameters import arguments, configuration, typed

    given = typed(dict(_pair(text) for text in options.parameter))
    workspace = given.get("workspace") or options.workspace or ""
    if not workspace.startswith("s3://"):
        raise ConfigError(
            f"the workspace is {workspace!r}, and pods need an object store: --workspace s3://bucket/prefix"
        )
    values = arguments(load(options.config), workspace) if options.config else {"workspace": workspace}
    values |= given
    uri = configuration(values).source.uri
    if "://" not in uri or uri.startswith("file:"):
        raise ConfigError(
            f"source.uri {uri!r} is a path of this machine, which pods do not see: put the cube in a store"
        )
    return values


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"parameter {text!r} has no value: write it as name=value")
    return name.strip(), value


@contextlib.contextmanager
def package(platform: Platform) -> Iterator[Path]:
    """The pipeline compiled for a cluster, in a file that lasts as long as it is needed.

    Raises:
        LstfillError: if it does not compile with these settings.
    """
    from pipelines.compiling import compile_pipeline

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "lstfill.yaml"
        try:
            compile_pipeline(platform, path)
        except (TypeError, ValueError, RuntimeError) as error:
            raise LstfillError(
                f"the pipeline does not compile with these settings: {error}. Check --platform and the images"
            ) from None
        yield path


def order_of(options: argparse.Namespace, values: dict[str, Any], platform: Platform, path: Path, **more: Any) -> Order:
    """What a run is made of, from the options of ``add_run_options``."""
    from pipelines.service import Order

    experiment = os.environ.get(EXPERIMENT_OVERRIDE) or options.experiment or os.environ.get(EXPERIMENT_DEFAULT) or NAME
    account = options.service_account or platform.service_account
    return Order(
        path,
        values,
        experiment=experiment,
        service_account=account,
        pipeline_root=options.pipeline_root,
        **more,
    )


def run_name() -> str:
    """A name for a run that was given none: when it was submitted, UTC."""
    return time.strftime(f"{NAME} %Y-%m-%d %H:%M:%S", time.gmtime())
