"""From the pipeline and the settings of a cluster to the package that Kubeflow takes: two YAML documents.

The settings go onto the tasks here and nowhere else, because a local run would honour some of them: a wrong
configuration would be tried three times.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from kfp import compiler, dsl, kubernetes
from kfp.dsl.pipeline_context import Pipeline

from components.image import FULL_IMAGE, LIGHT_IMAGE, full_image, light_image
from lstfill.config import build
from lstfill.errors import LstfillError
from pipelines.pipeline import lstfill
from pipelines.platform import Images, Platform, Retry, Step

SUFFIXES = (".yaml", ".yml", ".json")
_SCRATCH = "/tmp"  # noqa: S108  # of the task's own pod


def compile_pipeline(platform: Platform, out: Path) -> None:
    """Writes the pipeline as Kubeflow takes it: what to run, and how the cluster runs it.

    Args:
        platform: settings of the cluster.
        out: file to write, in a directory that exists; YAML.

    Raises:
        ConfigError: if an image is not pinned.
        LstfillError: if the file's name is not one that Kubeflow takes.
    """
    assert_name(out)
    compiler.Compiler().compile(on_platform(platform), str(out))


def assert_name(out: Path) -> None:
    """Makes sure that Kubeflow takes a file by its name.

    Raises:
        LstfillError: if it does not.
    """
    if out.suffix not in SUFFIXES:
        raise LstfillError(f"cannot write {out}: its name must end in .yaml, .yml or .json")


def on_platform(platform: Platform) -> Any:
    """The pipeline with the settings of a cluster on every task."""
    body, images = lstfill.pipeline_func, image_names(platform)

    @functools.wraps(body)
    def settled(*channels: Any) -> Any:
        outputs = body(*channels)
        for step, task in Pipeline.get_default_pipeline().tasks.items():
            task.set_container_image(images[task.container_spec.image])
            _settle(task, step, platform)
        return outputs

    return dsl.pipeline(
        settled,
        name=lstfill.name,
        description=lstfill.description,
        pipeline_config=dsl.PipelineConfig(ttl_seconds_after_finished=platform.finished.ttl_s),
    )


def image_names(platform: Platform) -> dict[str, str]:
    """The images that tasks run in, by the name that their component has.

    Raises:
        ConfigError: if the environment names a tag that is not pinned.
    """
    chosen = platform.images
    names = {
        "light": chosen.light or light_image(chosen.registry, chosen.tag),
        "ml": chosen.ml or full_image(chosen.registry, chosen.tag),
    }
    checked = build(Images, names, "images")
    return {LIGHT_IMAGE: str(checked.light), FULL_IMAGE: str(checked.ml)}


def _settle(task: dsl.PipelineTask, step: str, platform: Platform) -> None:
    _bound(task, platform.steps[step], platform.retry)
    _feed(task, platform)
    _place(task, step, platform)
    user = platform.security
    kubernetes.set_security_context(
        task, run_as_user=user.run_as_user, run_as_group=user.run_as_group, run_as_non_root=True
    )
    if user.scratch_size:
        kubernetes.empty_dir_mount(task, "scratch", _SCRATCH, size_limit=user.scratch_size)


def _bound(task: dsl.PipelineTask, settings: Step, retry: Retry) -> None:
    task.set_cpu_request(settings.cpu_request).set_cpu_limit(settings.cpu_limit)
    task.set_memory_request(settings.memory_request).set_memory_limit(settings.memory_limit)
    kubernetes.set_timeout(task, settings.timeout_s)
    if retry.times:
        # Kubeflow's own limit of an hour for all attempts together would leave a long step no second one.
        total = f"{retry.total_s(settings.timeout_s)}s"
        task.set_retry(retry.times, f"{retry.backoff_s}s", float(retry.factor), total)


def _feed(task: dsl.PipelineTask, platform: Platform) -> None:
    """Environment by reference: the names are compiled, the values stay in the namespace."""
    for secret in platform.secrets:
        kubernetes.use_secret_as_env(task, secret.name, secret.keys, optional=secret.optional)
    for config_map in platform.config_maps:
        kubernetes.use_config_map_as_env(task, config_map.name, config_map.keys, optional=config_map.optional)


def _place(task: dsl.PipelineTask, step: str, platform: Platform) -> None:
    kubernetes.set_image_pull_policy(task, platform.images.pull_policy)
    if platform.images.pull_secrets:
        kubernetes.set_image_pull_secrets(task, platform.images.pull_secrets)
    for toleration in platform.placement.tolerations:
        kubernetes.add_toleration(task, **toleration.model_dump())
    for label, value in platform.placement.node_selector.items():
        kubernetes.add_node_selector(task, label, value)
    for label, value in {**platform.labels, "app.kubernetes.io/component": step}.items():
        kubernetes.add_pod_label(task, label, value)
    for name, value in platform.annotations.items():
        kubernetes.add_pod_annotation(task, name, value)
