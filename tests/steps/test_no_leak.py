"""No leak: what is held out, and what is to be tested, has no way into anything that is fitted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from lstfill.config import Preprocess, Split
from lstfill.steps import evaluate, train
from lstfill.steps.provenance import origin_of
from tests.steps.chain import (
    AROUND,
    CLOUDS,
    FEATURE,
    GIVEN,
    SPLIT,
    TARGET,
    TRUTH,
    Chain,
    differing,
    land,
    parts_of,
    source_of,
    write_source,
)

KINDS = {"clouds": CLOUDS, "given": GIVEN}
MARKER_K = 340.0


@pytest.fixture(scope="module", autouse=True)
def without_pictures():
    """Scores alone: the report of the shared run shows the pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "_report", lambda *_: ("<html></html>", {}))
        yield


def run_on(cube, root, tracking, kind):
    """All steps up to the scores, on a source of its own."""
    root.mkdir(parents=True)
    chain = Chain(
        root,
        source_of(write_source(cube, root / "source.zarr")),
        tracking,
        split=SPLIT.model_copy(update={"held_out_gaps": KINDS[kind]}),
        # Everything that could look at a value it must not see.
        preprocess=Preprocess(missing="mean", max_samples=2500),
    )
    chain.prepared()
    chain.trained()
    chain.scored()
    return chain


@pytest.fixture(scope="module")
def runs(cube, tracking, tmp_path_factory):
    """One run by kind of gaps and by what was planted, made when it is asked for."""
    made, root = {}, tmp_path_factory.mktemp("leak")

    def get(kind, planted=None):
        if (kind, planted) not in made:
            source = cube if planted is None else PLANTED[planted](cube, get(kind), kind)
            made[kind, planted] = run_on(source, root / f"{kind}-{planted}", tracking, kind)
        return made[kind, planted]

    return get


def replaced(cube, name, where, values):
    """The cube with other values in some cells, and the gaps where they were: out of range stays out of range."""
    changed = cube.copy(deep=True)
    there = where & (changed[name].values < 345)
    changed[name].values[there] = np.broadcast_to(values, there.shape)[there]
    return changed


def held_out_marker(cube, base, kind):
    held_out = base.array("parts", "held_out")
    marked = replaced(cube, TARGET, held_out, MARKER_K)
    return replaced(marked, TRUTH, held_out, MARKER_K) if kind == "given" else marked


def noise(cube):
    return np.random.default_rng(0).uniform(190, 340, cube[TARGET].shape).astype("float32")


def test_part_marker(cube, base, kind):
    return replaced(cube, TARGET, (parts_of(base) == 2) & ~base.array("parts", "held_out"), MARKER_K)


def off_mask_marker(cube, base, kind):
    return replaced(cube, TARGET, np.broadcast_to(~land(), cube[TARGET].shape), MARKER_K)


test_part_marker.__test__ = False
PLANTED = {
    "held-out marker": held_out_marker,
    "test marker": test_part_marker,
    "off-mask marker": off_mask_marker,
}
CASES = [
    ("clouds", "held-out marker"),
    ("given", "held-out marker"),
    ("clouds", "test marker"),
    ("given", "test marker"),
    ("clouds", "off-mask marker"),
]
OF_TEST = {"test_x", "test_y"}


def learned(chain):
    """All of the model but the identities of the data it was made from."""
    card = json.loads(Path(chain.at("model"), "model.json").read_text())
    # The network's file is an archive with the time in it; its weights are compared one by one.
    card.pop("provenance"), card.pop("files")
    history = json.loads(Path(chain.at("model"), "history.json").read_text())
    history.pop("seconds")
    return card | {"history": history, "network": weights(chain)}


def weights(chain):
    from lstfill.model import load

    return [values.tobytes() for values in load(Path(chain.at("model"))).network().get_weights()]


def scores(chain, name):
    return origin_of(chain.at("evaluation"))["facts"]["scores"][name]


@pytest.mark.parametrize(("kind", "planted"), CASES)
def test_the_marker_is_in_the_cube(runs, kind, planted):
    before, after = (runs(kind, one).array("cube", TARGET) for one in (None, planted))
    assert np.count_nonzero(before != after) - np.count_nonzero(np.isnan(before)) > 50
    np.testing.assert_array_equal(np.isnan(before), np.isnan(after))


@pytest.mark.parametrize(("kind", "planted"), CASES)
def test_split_and_held_out_gaps_do_not_change_a_bit(runs, kind, planted):
    assert differing(runs(kind).values("parts"), runs(kind, planted).values("parts")) == []


@pytest.mark.parametrize(("kind", "planted"), CASES)
def test_samples_do_not_change_a_bit(runs, kind, planted):
    changed = set(differing(runs(kind).values("samples"), runs(kind, planted).values("samples")))
    # The index of the test samples stays; that their values change shows that the comparison can fail.
    assert changed == ({"test_y"} if planted == "test marker" else set())


@pytest.mark.parametrize(("kind", "planted"), CASES)
def test_statistics_scaling_and_imputation_do_not_change_a_bit(runs, kind, planted):
    before, after = (origin_of(runs(kind, one).at("samples"))["facts"] for one in (None, planted))
    for name in ("samples", "statistics", "scaling", "impute"):
        assert after[name] == before[name], name


@pytest.mark.parametrize(("kind", "planted"), CASES)
def test_the_model_does_not_change_a_bit(runs, kind, planted):
    assert learned(runs(kind, planted)) == learned(runs(kind))


@pytest.fixture(scope="module")
def around(runs, tmp_path_factory):
    """What models of tiles have learned and are calibrated to, on the same cubes."""
    made, root = {}, tmp_path_factory.mktemp("around")

    def get(kind, planted=None):
        if (kind, planted) not in made:
            made[kind, planted] = learned_from_tiles(runs(kind, planted), root / f"{kind}-{planted}")
        return made[kind, planted]

    return get


def learned_from_tiles(chain, root):
    options = AROUND.model_copy(update={"compare": ["boosting"]})
    inputs = chain.inputs("samples", "cube", "land", "parts")
    found = train.run(options, chain.tracking, **inputs, output=str(root / "model"))
    cards = [Path(place, "model.json") for place in (found.uri, f"{found.uri}/compared/boosting")]
    # What trees predict is in their calibration; their files are archives with the time in them.
    return [{**json.loads(card.read_text()), "provenance": None, "files": None} for card in cards]


@pytest.mark.parametrize(("kind", "planted"), CASES)
def test_models_of_tiles_do_not_change_a_bit(around, kind, planted):
    assert around(kind, planted) == around(kind)


@pytest.mark.parametrize(("kind", "planted"), CASES)
def test_only_the_scores_of_what_was_changed_change(runs, kind, planted):
    for name in ("test", "held_out_gaps"):
        before, after = (scores(runs(kind, one), name) for one in (None, planted))
        marked = planted.startswith({"test": "test", "held_out_gaps": "held-out"}[name])
        if marked:
            assert after["mae_k"] > before["mae_k"] + 10
        else:
            assert after == before
        assert after["n"] == before["n"]


def test_a_change_of_what_is_learned_from_is_noticed(runs, around, cube, tracking, tmp_path):
    # The other side of the coin: without it, all of the above could hold because nothing is read at all.
    base = runs("clouds")
    learned_from = (parts_of(base) == 0) & ~base.array("parts", "held_out") & land()
    changed = run_on(replaced(cube, TARGET, learned_from, noise(cube)), tmp_path / "run", tracking, "clouds")
    assert differing(base.values("parts"), changed.values("parts")) == []
    assert "train_y" in differing(base.values("samples"), changed.values("samples"))
    assert learned(changed)["parameters"] != learned(base)["parameters"]
    for mine, theirs in zip(around("clouds"), learned_from_tiles(changed, tmp_path), strict=True):
        assert mine["calibration"] != theirs["calibration"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_sample_is_held_out_in_any_part(runs, kind):
    chain = runs(kind)
    held_out = np.flatnonzero(chain.array("parts", "held_out"))
    for name in ("train", "validation", "test"):
        assert not np.isin(chain.array("samples", f"{name}_cell"), held_out).any()


def test_a_random_split_hides_held_out_values_too(chain):
    random = chain.but(split=Split(kind="random", block=SPLIT.block, held_out_gaps=CLOUDS))
    random.prepared()
    held_out = np.flatnonzero(random.array("parts", "held_out"))
    cells = np.concatenate([random.array("samples", f"{name}_cell") for name in ("train", "validation", "test")])
    assert not np.isin(cells, held_out).any()
    assert np.unique(cells).size == cells.size


def test_a_feature_may_be_seen_everywhere(runs):
    # Features are known in every gap: that is what the model fills from. Only the target is hidden.
    with xr.open_zarr(runs("clouds").at("cube")) as ds:
        assert np.isfinite(ds[FEATURE].values[runs("clouds").array("parts", "held_out")]).all()
