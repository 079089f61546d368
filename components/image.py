"""The one place where components learn which image they run in, and how they are compiled."""

import functools
import os
from importlib.metadata import version

from kfp import dsl

TAG = os.environ.get("LSTFILL_IMAGE_TAG") or version("lstfill")
REGISTRY = os.environ.get("LSTFILL_IMAGE_REGISTRY", "")


def light_image(registry: str | None = None, tag: str | None = None) -> str:
    """The image of the steps that need no Keras; a registry or tag that is not given comes from the environment."""
    return _named("lstfill-python", registry, tag)


def full_image(registry: str | None = None, tag: str | None = None) -> str:
    """The image of the steps that need Keras and MLflow."""
    return _named("lstfill-python-ml", registry, tag)


def mlflow_image(registry: str | None = None, tag: str | None = None) -> str:
    """The image of the tracking server."""
    return _named("lstfill-mlflow", registry, tag)


# The word python in the names keeps KFP's subprocess runner from warning of an image it does not know.
def _named(name: str, registry: str | None, tag: str | None) -> str:
    before = REGISTRY if registry is None else registry
    return f"{before.rstrip('/')}/{name}:{tag or TAG}" if before else f"{name}:{tag or TAG}"


LIGHT_IMAGE, FULL_IMAGE = light_image(), full_image()

# KFP would otherwise install itself with pip in front of every task.
_component = functools.partial(dsl.component, packages_to_install=[], install_kfp_package=False)
light = functools.partial(_component, base_image=LIGHT_IMAGE)
full = functools.partial(_component, base_image=FULL_IMAGE)
