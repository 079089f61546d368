"""The demo's run on a real cluster, as `make e2e` left it, read through the port of the cluster's object store."""

from __future__ import annotations

import os

import numpy as np
import pytest

from lstfill.cube.flags import SourceFlag
from lstfill.storage import objects, stores
from lstfill.storage.handles import options_of, s3_filesystem
from lstfill.synthetic import TARGET

WORKSPACE = os.environ.get("LSTFILL_E2E_WORKSPACE", "")
SOURCE = os.environ.get("LSTFILL_E2E_SOURCE", "")
# The noise of the synthetic cube is 3 K: no model comes far below, a good one not far above.
RMSE_K = (2.7, 3.3)

pytestmark = pytest.mark.skipif(
    not WORKSPACE or not SOURCE,
    reason="needs a run on a cluster: `make check-demo` sets LSTFILL_E2E_WORKSPACE and LSTFILL_E2E_SOURCE",
)


def newest(pattern):
    """Address of the youngest object of the workspace that a pattern fits."""
    filesystem = s3_filesystem(options_of(WORKSPACE))
    found = filesystem.glob(f"{WORKSPACE}/**/{pattern}", detail=True)
    assert found, f"no {pattern} in {WORKSPACE}"
    return f"s3://{max(found, key=lambda name: found[name]['LastModified'])}"


def store(of):
    """The youngest store of a name, in memory."""
    with stores.open_whole(newest(of).rpartition("/")[0]) as cube:
        return cube.load()


@pytest.fixture(scope="module")
def filled():
    return store("filled.zarr/.zmetadata")


@pytest.fixture(scope="module")
def land():
    return store("land.zarr/zarr.json")["land"].values


@pytest.fixture(scope="module")
def source():
    with stores.open_whole(SOURCE) as cube:
        return cube[TARGET].load()


@pytest.fixture(scope="module")
def evaluation():
    return objects.get_json(newest("evaluation.json"))


@pytest.fixture(scope="module")
def flag(filled):
    return filled[f"{TARGET}_source"].values


class TestFilledCube:
    def test_observed_values_are_those_of_the_source_bit_for_bit(self, filled, source, flag):
        observed = flag == SourceFlag.OBSERVED
        assert 0.2 < observed.mean() < 0.8
        assert filled[TARGET].values[observed].tobytes() == source.values[observed].tobytes()

    def test_no_value_is_missing_over_land(self, filled, flag, land):
        assert 0.25 < land.mean() < 0.45
        assert np.isfinite(filled[TARGET].values[:, land]).all()
        assert (flag[:, land] != SourceFlag.NOT_FILLABLE).all()
        assert (flag[:, land] == SourceFlag.FILLED).mean() > 0.1

    def test_every_value_has_a_source_and_every_filled_one_an_uncertainty(self, filled, flag):
        assert set(np.unique(flag)) <= {int(value) for value in SourceFlag}
        uncertainty = filled[f"{TARGET}_uncertainty"].values[flag == SourceFlag.FILLED]
        assert np.isfinite(uncertainty).all()
        assert uncertainty.min() > 0

    def test_it_says_who_made_it(self):
        assert stores.provenance(newest("filled.zarr/.zmetadata").rpartition("/")[0])["step"] == "predict"


class TestScores:
    @pytest.mark.parametrize("part", ["test", "held_out_gaps"])
    def test_are_those_of_the_demo(self, evaluation, part):
        scores = evaluation["scores"][part]
        assert RMSE_K[0] < scores["rmse_k"] < RMSE_K[1]
        assert abs(scores["bias_k"]) < 0.3
        assert scores["n"] > 5000

    def test_are_better_than_every_baseline(self, evaluation):
        others = [scores["held_out_gaps"]["rmse_k"] for scores in evaluation["baselines"].values()]
        assert len(others) == 4
        assert evaluation["scores"]["held_out_gaps"]["rmse_k"] < min(others)
