import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from components import image

VERSION = version("lstfill")
REPO = Path(__file__).resolve().parents[2]


def imported(**environment):
    """The names as a fresh process has them."""
    names = "image.LIGHT_IMAGE, image.FULL_IMAGE, image.mlflow_image()"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LSTFILL_IMAGE_")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"from components import image; print({names})"],
        cwd=REPO, env={**kept, **environment}, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return done.stdout.split()


class TestEnvironment:
    def test_without_it_the_version_is_the_tag(self):
        assert imported() == [f"lstfill-{name}:{VERSION}" for name in ("python", "python-ml", "mlflow")]

    @pytest.mark.parametrize("registry", ["r.example.org:5000/science", "r.example.org:5000/science/"])
    def test_registry_and_tag(self, registry):
        made = imported(LSTFILL_IMAGE_REGISTRY=registry, LSTFILL_IMAGE_TAG="0123abc")
        wanted = [f"r.example.org:5000/science/lstfill-{name}:0123abc" for name in ("python", "python-ml", "mlflow")]
        assert made == wanted

    def test_an_empty_tag_is_none(self):
        assert imported(LSTFILL_IMAGE_TAG="")[0] == f"lstfill-python:{VERSION}"


class TestNames:
    @pytest.mark.parametrize("name", ["light_image", "full_image", "mlflow_image"])
    def test_what_is_given_wins(self, name):
        assert getattr(image, name)("r/", "1").startswith("r/lstfill-")
        assert getattr(image, name)("r/", "1").endswith(":1")
        assert getattr(image, name)("", "1").startswith("lstfill-")

    def test_images_of_steps_say_python(self):
        """KFP's runner for this machine warns of images that it does not take for one."""
        assert "python" in image.light_image()
        assert "python" in image.full_image()
