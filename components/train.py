"""Train: fits the models and records them."""

from kfp import dsl

from components.image import full


@full()
def train(
    workspace: str,
    train_model: str,
    train_compare: list,
    train_pretrained: str,
    train_epochs: int,
    train_batch_size: int,
    train_learning_rate: float,
    train_patience: int,
    train_seed: int,
    train_register_as: str,
    train_alias: str,
    train_options: dict,
    tracking_uri: str,
    tracking_experiment: str,
    cluster: dict,
    samples: dsl.Input[dsl.Dataset],
    cube: dsl.Input[dsl.Dataset],
    land: dsl.Input[dsl.Dataset],
    parts: dsl.Input[dsl.Dataset],
    model: dsl.Output[dsl.Model],
) -> None:
    """Fits the model that fills and those beside it, measures how far to trust them, logs and registers."""
    from lstfill.steps import run_task

    fit = {"epochs": train_epochs, "batch_size": train_batch_size, "learning_rate": train_learning_rate}
    run_task(
        "train",
        workspace,
        inputs={"samples": samples, "cube": cube, "land": land, "parts": parts},
        output=model,
        train={
            "model": train_model,
            "compare": train_compare,
            "pretrained": train_pretrained,
            **fit,
            "patience": train_patience,
            "seed": train_seed,
            "register_as": train_register_as,
            "alias": train_alias,
            **train_options,
        },
        tracking={"uri": tracking_uri, "experiment": tracking_experiment},
        cluster=cluster,
    )
