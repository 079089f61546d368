"""Train: fits the model and records it."""

from kfp import dsl

from components.image import full


@full()
def train(
    workspace: str,
    train_model: str,
    train_pretrained: str,
    train_epochs: int,
    train_batch_size: int,
    train_learning_rate: float,
    train_patience: int,
    train_seed: int,
    train_register_as: str,
    train_alias: str,
    tracking_uri: str,
    tracking_experiment: str,
    samples: dsl.Input[dsl.Dataset],
    model: dsl.Output[dsl.Model],
) -> None:
    """Fits the model on streamed samples, keeps the best weights, logs and registers it."""
    from lstfill.steps import run_task

    fit = {"epochs": train_epochs, "batch_size": train_batch_size, "learning_rate": train_learning_rate}
    run_task(
        "train",
        workspace,
        inputs={"samples": samples},
        output=model,
        train={
            "model": train_model,
            "pretrained": train_pretrained,
            **fit,
            "patience": train_patience,
            "seed": train_seed,
            "register_as": train_register_as,
            "alias": train_alias,
        },
        tracking={"uri": tracking_uri, "experiment": tracking_experiment},
    )
