"""The pipeline: seven components in a plain DAG. Options are parameters; there is no control flow.

KFP reads annotations at run time, so this module does not postpone their evaluation.
"""

from typing import NamedTuple

from kfp import dsl

import components


class Outputs(NamedTuple):
    """What a run leaves to a reader: pointers to stores, and the report."""

    model: dsl.Model
    evaluation: dsl.Artifact
    report: dsl.HTML
    filled: dsl.Dataset


@dsl.pipeline(
    name="lstfill", description="Fills the gaps of land surface temperature, with an uncertainty for each value."
)
def lstfill(
    workspace: str,
    source_uri: str,
    source_target: str = "land_surface_temperature",
    source_features: list = ["air_temperature_2m"],
    source_covariates: list = [],
    source_select: dict = {},
    source_time: list = [],
    source_bbox_deg: list = [],
    source_endpoint_url: str = "",
    source_anonymous: bool = False,
    source_options: dict = {},
    mask_kind: str = "globe",
    mask_options: dict = {},
    split_kind: str = "block",
    split_block: dict = {"time": 10, "lat": 100, "lon": 100},
    split_fractions: dict = {"train": 0.7, "validation": 0.1, "test": 0.2},
    split_buffer: dict = {},
    split_balance: bool = True,
    split_seed: int = 0,
    split_held_out_gaps: dict = {},
    preprocess_missing: str = "drop",
    preprocess_scaling: str = "standardize",
    preprocess_max_samples: int = 0,
    preprocess_options: dict = {},
    train_model: str = "linear",
    train_compare: list = [],
    train_pretrained: str = "",
    train_epochs: int = 10,
    train_batch_size: int = 8192,
    train_learning_rate: float = 0.1,
    train_patience: int = 5,
    train_seed: int = 0,
    train_register_as: str = "",
    train_alias: str = "",
    train_options: dict = {},
    evaluate_baselines: list = ["feature", "date_mean", "cell_mean", "temporal_interpolation"],
    evaluate_groups: list = ["latitude", "season", "gap_size", "distance", "days"],
    evaluate_map_date: str = "",
    evaluate_options: dict = {},
    predict_zarr_format: str = "source",
    predict_write: str = "filled",
    cluster: dict = {},
    tracking_uri: str = "",
    tracking_experiment: str = "lstfill",
) -> Outputs:
    """Fills the gaps of land surface temperature, with an uncertainty for each value.

    Args:
        workspace: where the steps write their stores, s3://bucket/prefix
        source_uri: address of the cube, s3://, https:// or a path
        source_target: variable whose gaps are filled
        source_features: complete variables the target is learned from; may be empty for models that need none
        source_covariates: further variables that models of neighbours use: elevation, land cover
        source_select: for each further dimension of a variable, the coordinate to take
        source_time: first and last date, both included; empty takes all
        source_bbox_deg: west, south, east, north in degrees; empty takes all
        source_endpoint_url: S3 endpoint of the source; empty is AWS if anonymous, else that of the environment
        source_anonymous: read a public bucket without signing
        source_options: further keys of the section source (extras, valid_range_k, units, chunks, zarr_options)
        mask_kind: globe, variable or none
        mask_options: further keys of the section mask (variable, exclude)
        split_kind: block or random
        split_block: size of a block in cells, along time, lat and lon
        split_fractions: shares of train, validation and test
        split_buffer: cells left out between the parts, along time, lat and lon
        split_balance: move whole blocks until each share holds in every latitude band
        split_seed: seed of the split
        split_held_out_gaps: artificial gaps for the scores (kind, fraction, truth, gap, date, seed)
        preprocess_missing: cells with a missing feature are dropped, or imputed by mean or constant
        preprocess_scaling: standardize, normalize, none or custom
        preprocess_max_samples: most samples a part; 0 takes all
        preprocess_options: further keys of the section preprocess (constant, custom, seed)
        train_model: the model that fills (linear, mlp, harmonic, boosting, local, ensemble)
        train_compare: further models that are fitted and scored beside it
        train_pretrained: a model to use as it is, models:/name@alias or an address; nothing is fitted then
        train_epochs: most passes over the training samples
        train_batch_size: samples a step
        train_learning_rate: of Adam at the start
        train_patience: epochs without a better validation loss before the fit stops
        train_seed: seed of the initial weights and of the order of batches
        train_register_as: name in the model registry; empty registers nothing
        train_alias: alias that the registered version gets if it passes the gate of the evaluation
        train_options: further keys of the section train (tiles, calibration, and a section for each model)
        evaluate_baselines: what the model is compared with
        evaluate_groups: break-downs of the scores
        evaluate_map_date: date of the report's maps; empty takes the one with the most scored cells
        evaluate_options: further keys of the section evaluate (gate)
        predict_zarr_format: Zarr format of the filled cube, source, 2 or 3
        predict_write: filled, filled+observed or filled+observed+features
        cluster: where chunks are worked on, keys of the section cluster (kind: threads, local, scheduler, kubernetes)
        tracking_uri: MLflow tracking server; empty takes the task's environment
        tracking_experiment: MLflow experiment
    """
    where = {"workspace": workspace}
    tracked = {"tracking_uri": tracking_uri, "tracking_experiment": tracking_experiment}
    ingested = components.ingest(
        **where,
        source_uri=source_uri,
        source_target=source_target,
        source_features=source_features,
        source_covariates=source_covariates,
        source_select=source_select,
        source_time=source_time,
        source_bbox_deg=source_bbox_deg,
        source_endpoint_url=source_endpoint_url,
        source_anonymous=source_anonymous,
        source_options=source_options,
        cluster=cluster,
    )
    cube = ingested.set_display_name("Ingest cube").outputs["cube"]
    masked = components.mask(**where, mask_kind=mask_kind, mask_options=mask_options, cube=cube)
    land = masked.set_display_name("Mask land").outputs["land"]
    divided = components.split(
        **where,
        split_kind=split_kind,
        split_block=split_block,
        split_fractions=split_fractions,
        split_buffer=split_buffer,
        split_balance=split_balance,
        split_seed=split_seed,
        split_held_out_gaps=split_held_out_gaps,
        cluster=cluster,
        cube=cube,
        land=land,
    )
    parts = divided.set_display_name("Split cells").outputs["parts"]
    prepared = components.preprocess(
        **where,
        preprocess_missing=preprocess_missing,
        preprocess_scaling=preprocess_scaling,
        preprocess_max_samples=preprocess_max_samples,
        preprocess_options=preprocess_options,
        cluster=cluster,
        cube=cube,
        land=land,
        parts=parts,
    )
    samples = prepared.set_display_name("Prepare samples").outputs["samples"]
    trained = components.train(
        **where,
        **tracked,
        train_model=train_model,
        train_compare=train_compare,
        train_pretrained=train_pretrained,
        train_epochs=train_epochs,
        train_batch_size=train_batch_size,
        train_learning_rate=train_learning_rate,
        train_patience=train_patience,
        train_seed=train_seed,
        train_register_as=train_register_as,
        train_alias=train_alias,
        train_options=train_options,
        cluster=cluster,
        samples=samples,
        cube=cube,
        land=land,
        parts=parts,
    )
    model = trained.set_display_name("Train model").outputs["model"]
    scored = components.evaluate(
        **where,
        **tracked,
        evaluate_baselines=evaluate_baselines,
        evaluate_groups=evaluate_groups,
        evaluate_map_date=evaluate_map_date,
        evaluate_options=evaluate_options,
        cluster=cluster,
        cube=cube,
        land=land,
        parts=parts,
        model=model,
    ).set_display_name("Evaluate model")
    predicted = components.predict(
        **where,
        **tracked,
        predict_zarr_format=predict_zarr_format,
        predict_write=predict_write,
        cluster=cluster,
        cube=cube,
        land=land,
        model=model,
    )
    filled = predicted.set_display_name("Fill gaps").outputs["filled"]
    return Outputs(model=model, evaluation=scored.outputs["evaluation"], report=scored.outputs["report"], filled=filled)
