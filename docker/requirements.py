"""Writes what the images install, so that a change elsewhere in pyproject.toml does not make their layers anew."""

import sys
import tomllib
from pathlib import Path

source, out = (Path(argument) for argument in sys.argv[1:])
project = tomllib.loads(source.read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
light = [*project["dependencies"], *extras["kubernetes"]]
(out / "light.txt").write_text("\n".join(light) + "\n", encoding="utf-8")
(out / "ml.txt").write_text("\n".join([*light, *extras["ml"]]) + "\n", encoding="utf-8")
(out / "server.txt").write_text("\n".join(extras["server"]) + "\n", encoding="utf-8")
