"""Preprocess: samples and their scaling."""

from kfp import dsl

from components.image import light


@light()
def preprocess(
    workspace: str,
    preprocess_missing: str,
    preprocess_scaling: str,
    preprocess_max_samples: int,
    preprocess_options: dict,
    cluster: dict,
    cube: dsl.Input[dsl.Dataset],
    land: dsl.Input[dsl.Dataset],
    parts: dsl.Input[dsl.Dataset],
    samples: dsl.Output[dsl.Dataset],
) -> None:
    """Draws the usable samples of each part, shuffled into shards, and fits the scaling on train alone."""
    from lstfill.steps import run_task

    options = {"missing": preprocess_missing, "scaling": preprocess_scaling, "max_samples": preprocess_max_samples}
    run_task(
        "preprocess",
        workspace,
        inputs={"cube": cube, "land": land, "parts": parts},
        output=samples,
        preprocess={**options, **preprocess_options},
        cluster=cluster,
    )
