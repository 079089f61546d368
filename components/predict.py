"""Predict: the filled cube."""

from kfp import dsl

from components.image import full


@full()
def predict(
    workspace: str,
    predict_zarr_format: str,
    predict_write: str,
    tracking_uri: str,
    tracking_experiment: str,
    cluster: dict,
    cube: dsl.Input[dsl.Dataset],
    land: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    filled: dsl.Output[dsl.Dataset],
) -> None:
    """Fills the cube chunk by chunk, with a source flag and an uncertainty."""
    from lstfill.steps import run_task

    run_task(
        "predict",
        workspace,
        inputs={"cube": cube, "land": land, "model": model},
        output=filled,
        predict={"zarr_format": predict_zarr_format, "write": predict_write},
        tracking={"uri": tracking_uri, "experiment": tracking_experiment},
        cluster=cluster,
    )
