"""Mask: land, once per grid."""

from kfp import dsl

from components.image import light


@light()
def mask(
    workspace: str,
    mask_kind: str,
    mask_options: dict,
    cube: dsl.Input[dsl.Dataset],
    land: dsl.Output[dsl.Dataset],
) -> None:
    """Says once per grid which cells are land."""
    from lstfill.steps import run_task

    run_task("mask", workspace, inputs={"cube": cube}, output=land, mask={"kind": mask_kind, **mask_options})
