"""Commands for Kubeflow: compile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lstfill.errors import LstfillError
from pipelines.terminal import console, prepare

if TYPE_CHECKING:
    import argparse

    from pipelines.platform import Platform


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the commands to a parser."""
    compile_ = commands.add_parser("compile", help="write the pipeline as Kubeflow takes it")
    compile_.add_argument("--out", type=Path, default=Path("lstfill.yaml"), help="file to write (YAML)")
    add_platform_options(compile_)
    compile_.set_defaults(command=_compile)


def add_platform_options(parser: argparse.ArgumentParser) -> None:
    """Adds what every command that compiles takes: the cluster's settings and the images."""
    parser.add_argument("--platform", type=Path, metavar="FILE", help="settings of the cluster (YAML)")
    parser.add_argument("--registry", help="registry of the images, like registry.example.org/science/")
    parser.add_argument("--tag", help="tag of the images: a version or a commit (default: this version)")
    parser.add_argument("--light-image", metavar="NAME", help="whole name of the image of the steps without Keras")
    parser.add_argument("--ml-image", metavar="NAME", help="whole name of the image of the steps with Keras")


def platform_of(options: argparse.Namespace) -> Platform:
    """The settings that the options of ``add_platform_options`` lead to."""
    from pipelines import platform

    settings = platform.load(options.platform)
    return settings.with_images(
        registry=options.registry, tag=options.tag, light=options.light_image, ml=options.ml_image
    )


def _compile(options: argparse.Namespace) -> None:
    from pipelines.compiling import SUFFIXES, compile_pipeline

    if options.out.suffix not in SUFFIXES:
        raise LstfillError(f"cannot write {options.out}: its name must end in .yaml, .yml or .json")
    platform = platform_of(options)
    prepare(options.out)
    compile_pipeline(platform, options.out)
    console.print(f"{options.out}")
