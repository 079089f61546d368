"""The one place where components learn which image they run in, and how they are compiled."""

import functools
import os
from importlib.metadata import version

from kfp import dsl

TAG = os.environ.get("LSTFILL_IMAGE_TAG", version("lstfill"))
REGISTRY = os.environ.get("LSTFILL_IMAGE_REGISTRY", "")

# The word python in the names keeps KFP's subprocess runner from warning of an image it does not know.
LIGHT_IMAGE = f"{REGISTRY}lstfill-python:{TAG}"
FULL_IMAGE = f"{REGISTRY}lstfill-python-ml:{TAG}"

# KFP would otherwise install itself with pip in front of every task.
_component = functools.partial(dsl.component, packages_to_install=[], install_kfp_package=False)
light = functools.partial(_component, base_image=LIGHT_IMAGE)
full = functools.partial(_component, base_image=FULL_IMAGE)
