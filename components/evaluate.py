"""Evaluate: scores, baselines and the report."""

from kfp import dsl

from components.image import full


@full()
def evaluate(
    workspace: str,
    evaluate_baselines: list,
    evaluate_groups: list,
    evaluate_map_date: str,
    evaluate_options: dict,
    tracking_uri: str,
    tracking_experiment: str,
    cluster: dict,
    cube: dsl.Input[dsl.Dataset],
    land: dsl.Input[dsl.Dataset],
    parts: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    evaluation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
) -> None:
    """Scores the model on test cells and held-out gaps beside baselines, and draws the report."""
    from lstfill.steps import publish_scores, run_task

    scored = {"baselines": evaluate_baselines, "groups": evaluate_groups}
    result = run_task(
        "evaluate",
        workspace,
        inputs={"cube": cube, "land": land, "parts": parts, "model": model},
        output=evaluation,
        evaluate={**scored, "map_date": evaluate_map_date, **evaluate_options},
        tracking={"uri": tracking_uri, "experiment": tracking_experiment},
        cluster=cluster,
    )
    publish_scores(result, metrics=metrics, report=report)
