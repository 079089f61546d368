"""The evaluation of a real cube against figures that were computed by others, without this package."""

from __future__ import annotations

import numpy as np
import pytest

from lstfill.config import Evaluate
from lstfill.cube import Chunk, Window
from lstfill.evaluate.baselines import DateSums
from lstfill.evaluate.comparison import Blocks
from lstfill.evaluate.estimates import Estimate
from lstfill.evaluate.evaluator import Terms, score_chunk
from lstfill.evaluate.land import LandCells
from lstfill.predict import source_flags

LST, T2M = "land_surface_temperature", "air_temperature_2m"


@pytest.fixture(scope="module")
def evaluation(shared_data):
    """Istra 2008 (MODIS Terra, 46 composites), predicted by the line fitted on all observed values."""
    xr = pytest.importorskip("xarray")
    cube = xr.open_zarr(shared_data / "istra_2008.zarr").load()
    shape = cube[LST].shape
    chunk = Chunk(
        window=Window((0, 0, 0), shape),
        shape=shape,
        time=cube.time.values,
        lat=cube.lat.values,
        lon=cube.lon.values,
        target=cube[LST].values,
        features={T2M: cube[T2M].values},
        land=cube.land_mask.values,
        held_out=cube.artificial_gap.values,
        truth=cube.truth.values,
    )
    land = LandCells.of(chunk)
    predicted = -24.4 + 1.096 * land.chunk.features[T2M].astype(float)
    flag = source_flags(land.chunk, predicted, np.zeros(predicted.shape, bool))
    config = Evaluate()
    said = {name: {"line": Estimate(predicted)} for name in ("test", "held_out_gaps")}
    terms = Terms(config, DateSums.of(chunk), Blocks.of(shape, (6, 17, 17)))
    return score_chunk(chunk, land, said, flag, terms).result(LST, config.groups)


# MAE and RMSE in K on the 46,874 values behind artificial gaps. The line is the published use case; its coefficients
# are known to three digits. The figures are given to 0.01 K.
@pytest.mark.parametrize(
    ("name", "mae", "rmse", "tolerance"),
    [("line", 2.55, 3.26, 0.02), ("feature", 3.40, 4.16, 0.006), ("temporal_interpolation", 2.28, 2.89, 0.006)],
)
def test_scores_on_given_gaps_are_the_known_ones(evaluation, name, mae, rmse, tolerance):
    scores = evaluation["scores"] if name == "line" else evaluation["baselines"][name]
    assert scores["held_out_gaps"]["n"] == 46_874
    assert scores["held_out_gaps"]["mae_k"] == pytest.approx(mae, abs=tolerance)
    assert scores["held_out_gaps"]["rmse_k"] == pytest.approx(rmse, abs=tolerance)


def test_every_held_out_value_falls_in_one_group_of_each_kind(evaluation):
    for labels in evaluation["groups"].values():
        assert sum(row["held_out_gaps"]["n"] for row in labels.values()) == 46_874
    assert list(evaluation["groups"]["latitude"]) == ["30N-60N"]


def test_eighteen_dates_leave_little_doubt_of_the_line_against_the_air_and_much_against_interpolation(evaluation):
    paired = evaluation["paired"]["held_out_gaps"]
    assert paired["feature"]["difference_k"] == pytest.approx(2.55 - 3.40, abs=0.02)
    assert paired["feature"]["p"] < 0.05
    assert paired["temporal_interpolation"]["p"] > 0.5
    # Errors of the scene go together: of 262 blocks of the split few remain.
    assert {test["blocks"] for test in paired.values()} <= {8, 32}
