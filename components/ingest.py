"""Ingest: opens, checks and normalises the source and cuts it once into the work cube."""

from kfp import dsl

from components.image import light


@light()
def ingest(
    workspace: str,
    source_uri: str,
    source_target: str,
    source_features: list,
    source_covariates: list,
    source_select: dict,
    source_time: list,
    source_bbox_deg: list,
    source_endpoint_url: str,
    source_anonymous: bool,
    source_options: dict,
    cluster: dict,
    cube: dsl.Output[dsl.Dataset],
) -> None:
    """Opens, checks and normalises the source and cuts it once into the work cube."""
    from lstfill.steps import run_task

    variables = {"target": source_target, "features": source_features, "covariates": source_covariates}
    run_task(
        "ingest",
        workspace,
        output=cube,
        source={
            "uri": source_uri,
            **variables,
            "select": source_select,
            "time": source_time,
            "bbox_deg": source_bbox_deg,
            "endpoint_url": source_endpoint_url,
            "anonymous": source_anonymous,
            **source_options,
        },
        cluster=cluster,
    )
