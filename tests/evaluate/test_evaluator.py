"""The evaluation against one masked array expression over the whole cube, and against itself over windows."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import operator
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lstfill.config import Evaluate
from lstfill.cube import Chunk, Window, column_windows
from lstfill.errors import ConfigError, DataError
from lstfill.evaluate.baselines import BASELINES, DateSums, View
from lstfill.evaluate.comparison import Blocks
from lstfill.evaluate.estimates import Estimate
from lstfill.evaluate.evaluator import Terms, score_chunk
from lstfill.evaluate.land import LandCells
from lstfill.evaluate.scores import score
from lstfill.evaluate.tally import Tally
from lstfill.evaluate.visible import visible_for
from lstfill.gaps import LABELS as GAPS
from lstfill.gaps import gap_size
from lstfill.model.calibration import LEVELS
from lstfill.predict import SourceFlag, source_flags
from lstfill.split.blocks import Part

SHAPE = (6, 12, 10)
CONFIG = Evaluate()
T2M = "air_temperature_2m"


class Line:
    """LST is 1.1 T2m - 25 K."""

    def predict(self, chunk):
        value = (1.1 * chunk.features[T2M].astype(float) - 25).astype(np.float32)
        return SimpleNamespace(value=value, spread=None)

    def extrapolated(self, chunk):
        return chunk.features[T2M] > 300


def cube(seed: int = 0, truth: bool = False) -> Chunk:
    """A cube of one chunk, with sea, gaps in both variables, irregular dates, a block split and held-out squares."""
    rng = np.random.default_rng(seed)
    feature = rng.normal(280, 12, SHAPE).astype(np.float32)
    behind = (1.1 * feature - 25 + rng.normal(0.4, 3, SHAPE)).astype(np.float32)
    target = np.where(rng.random(SHAPE) < 0.3, np.nan, behind).astype(np.float32)
    feature[rng.random(SHAPE) < 0.05] = np.nan
    held_out = np.zeros(SHAPE, bool)
    held_out[1, 2:9, 0:8] = held_out[4, 4:11, 1:10] = True
    held_out &= np.isfinite(target)
    part = np.full(SHAPE, Part.TRAIN, np.int8)
    part[3:, :, :5] = Part.TEST
    part[:3, 6:, 5:] = Part.VALIDATION
    return Chunk(
        window=Window((0, 0, 0), SHAPE),
        shape=SHAPE,
        time=np.array(
            ["2002-12-19", "2002-12-27", "2003-01-05", "2003-03-04", "2003-07-01", "2003-10-10"], "datetime64[ns]"
        ),
        lat=np.linspace(82, -60, SHAPE[1]),
        lon=np.linspace(0, 30, SHAPE[2]),
        target=np.where(held_out, np.float32(np.nan), target) if truth else target,
        features={T2M: feature},
        land=rng.random(SHAPE[1:]) < 0.75,
        part=part,
        held_out=held_out,
        truth=behind if truth else None,
    )


def cut(chunk: Chunk, window: Window) -> Chunk:
    t, y, x = window.slices

    def box(values):
        return None if values is None else values[t, y, x]

    return dataclasses.replace(
        chunk,
        window=window,
        time=chunk.time[t],
        lat=chunk.lat[y],
        lon=chunk.lon[x],
        target=box(chunk.target),
        features={name: box(values) for name, values in chunk.features.items()},
        land=chunk.land[y, x],
        part=box(chunk.part),
        held_out=box(chunk.held_out),
        truth=box(chunk.truth),
    )


def terms_of(chunk: Chunk, config: Evaluate = CONFIG, sums: DateSums | None = None) -> Terms:
    return Terms(config, DateSums.of(chunk) if sums is None else sums, Blocks(SHAPE, (3, 4, 5)))


def estimates_of(chunk: Chunk, land: LandCells, **models) -> dict:
    """What the line and other models say of the land cells, the same for both sets; ±2 K times the level."""
    values = {"line": Line().predict(land.chunk).value}
    values |= {name: model(land.chunk) for name, model in models.items()}

    def half_widths(cells):
        assert (cells < chunk.target.size).all()
        return np.repeat(np.array(LEVELS)[:, None] * 2, len(cells), axis=1)

    said = {name: Estimate(value, half_widths if name == "line" else None) for name, value in values.items()}
    return dict.fromkeys(("test", "held_out_gaps"), said)


def tally_of(chunk: Chunk, config: Evaluate = CONFIG, sums: DateSums | None = None, **models) -> Tally:
    land = LandCells.of(chunk)
    estimates = estimates_of(chunk, land, **models)
    flag = source_flags(land.chunk, estimates["test"]["line"].value, Line().extrapolated(land.chunk))
    return score_chunk(chunk, land, estimates, flag, terms_of(chunk, config, sums))


def result_of(chunk: Chunk, config: Evaluate = CONFIG) -> dict:
    return tally_of(chunk, config).result("land_surface_temperature", config.groups)


def masks(chunk: Chunk):
    """Which cells are scored, said once more in other words."""
    known = np.isfinite(chunk.features[T2M]) & np.broadcast_to(chunk.land, SHAPE)
    test = known & np.isfinite(chunk.target) & ~chunk.held_out & (chunk.part == 2)
    return {"test": test, "held_out_gaps": known & chunk.held_out}


def expected(chunk: Chunk, scored: str, predicted, mask) -> dict:
    observed = chunk.truth if chunk.truth is not None and scored == "held_out_gaps" else chunk.target
    weight = np.broadcast_to(np.cos(np.deg2rad(chunk.lat))[:, None], SHAPE)
    return score(predicted[mask], observed[mask], weight[mask])


def same(got, want) -> None:
    assert list(got) == list(want)
    for key, value in want.items():
        if key == "weighted":
            same(got[key], value)
        else:
            assert got[key] == pytest.approx(value, rel=1e-9), key


@pytest.mark.parametrize("truth", [False, True])
@pytest.mark.parametrize("scored", ["test", "held_out_gaps"])
def test_scores_equal_the_masked_expression(truth, scored):
    chunk = cube(truth=truth)
    got = result_of(chunk)["scores"][scored]
    assert got["n"] > 20
    same(got, expected(chunk, scored, Line().predict(chunk).value, masks(chunk)[scored]))


def test_given_gaps_are_scored_against_the_truth_and_not_against_the_target():
    chunk = cube(truth=True)
    shifted = dataclasses.replace(chunk, truth=chunk.truth - 7)
    before, after = result_of(chunk)["scores"], result_of(shifted)["scores"]
    assert after["held_out_gaps"]["bias_k"] == pytest.approx(before["held_out_gaps"]["bias_k"] + 7, rel=1e-6)
    assert after["test"] == before["test"]
    leaked = dataclasses.replace(chunk, target=np.where(chunk.held_out, np.float32(9999), chunk.target))
    assert result_of(leaked)["scores"] == before


@pytest.mark.parametrize("scored", ["test", "held_out_gaps"])
@pytest.mark.parametrize("name", sorted(BASELINES))
def test_baselines_are_scored_where_they_predict_and_say_on_how_many(name, scored):
    chunk = cube(2)
    view = View(chunk, visible_for(chunk, scored), DateSums.of(chunk).means(scored))
    predicted = BASELINES[name](view)
    mask = masks(chunk)[scored]
    same(result_of(chunk)["baselines"][name][scored], expected(chunk, scored, predicted, mask & np.isfinite(predicted)))


def test_a_baseline_that_cannot_predict_a_cell_is_scored_on_fewer_and_nothing_is_made_up():
    chunk = cube(3)
    whole_series = dataclasses.replace(chunk, part=np.full(SHAPE, Part.TEST, np.int8))
    result = result_of(whole_series)
    assert result["scores"]["test"]["n"] > 0
    for name in ("cell_mean", "temporal_interpolation"):
        assert result["baselines"][name]["test"]["n"] == 0
        assert result["baselines"][name]["test"]["rmse_k"] is None
    assert result["baselines"]["feature"]["test"]["n"] == result["scores"]["test"]["n"]


def test_only_the_baselines_that_are_asked_for_and_possible_are_scored():
    chunk = cube()
    assert list(result_of(chunk, Evaluate(baselines=["cell_mean"]))["baselines"]) == ["cell_mean"]
    bare = dataclasses.replace(chunk, features={})
    land = LandCells.of(bare)
    value = np.full(land.chunk.target.shape, 280.0)
    said = {name: {"constant": Estimate(value)} for name in ("test", "held_out_gaps")}
    tally = score_chunk(bare, land, said, source_flags(land.chunk, value, value < 0), terms_of(bare))
    assert list(tally.result("lst", [])["baselines"]) == ["date_mean", "cell_mean", "temporal_interpolation"]


def test_groups_equal_masked_scores_and_labels_come_in_natural_order():
    chunk = cube(4)
    groups, value = result_of(chunk)["groups"], Line().predict(chunk).value
    lat = np.broadcast_to(chunk.lat[:, None], SHAPE)
    month = np.broadcast_to(pd.DatetimeIndex(chunk.time).month.to_numpy()[:, None, None], SHAPE)
    sizes = gap_size(chunk.land & (np.isnan(chunk.target) | chunk.held_out))
    wanted = {
        "latitude": {"90S-60S": lat < -60, "60S-30S": (lat >= -60) & (lat < -30), "30S-0": (lat >= -30) & (lat < 0),
                     "0-30N": (lat >= 0) & (lat < 30), "30N-60N": (lat >= 30) & (lat < 60), "60N-90N": lat >= 60},
        "season": {"DJF": np.isin(month, [12, 1, 2]), "MAM": np.isin(month, [3, 4, 5]),
                   "JJA": np.isin(month, [6, 7, 8]), "SON": np.isin(month, [9, 10, 11])},
        "gap_size": {"1-9": sizes < 10, "10-99": (sizes >= 10) & (sizes < 100)},
    }  # fmt: skip
    for (group, labels), scored in itertools.product(wanted.items(), ("test", "held_out_gaps")):
        for label, here in labels.items():
            mask = masks(chunk)[scored] & here
            row = groups[group].get(label, {scored: None})[scored]
            if (group, scored) == ("gap_size", "test") or not mask.any():
                assert row is None
            else:
                same(row, expected(chunk, scored, value, mask))
    for group, labels in wanted.items():
        assert list(groups[group]) == [label for label in labels if label in groups[group]]
    assert set(groups["gap_size"]) <= set(GAPS["gap_size"])


def test_groups_that_are_not_asked_for_are_absent():
    assert list(result_of(cube(), Evaluate(groups=["season"]))["groups"]) == ["season"]
    assert result_of(cube(), Evaluate(groups=[]))["groups"] == {}


def test_without_enough_held_out_values_pictures_are_of_the_test_part():
    chunk = cube(7)
    few = np.zeros(SHAPE, bool)
    few[np.unravel_index(np.flatnonzero(masks(chunk)["held_out_gaps"])[:29], SHAPE)] = True
    tally = tally_of(dataclasses.replace(chunk, held_out=few))
    assert tally.sets["held_out_gaps"].main.sums.n == 29
    assert tally.best_set() == tally.result("lst", [])["scored"] == "test"


def off_by(kelvin, where=lambda chunk: np.ones_like(chunk.target, bool)):
    """A model that is the line and some kelvin, and says nothing elsewhere."""
    return lambda chunk: np.where(where(chunk), Line().predict(chunk).value + kelvin, np.nan)


@pytest.mark.parametrize("scored", ["test", "held_out_gaps"])
def test_another_model_is_scored_and_compared_on_the_cells_that_both_predict(scored):
    chunk = cube(14)
    result = tally_of(chunk, other=off_by(2, lambda of: np.isfinite(of.features[T2M]) & (of.features[T2M] > 275)))
    result = result.result("lst", CONFIG.groups)
    value, mask = Line().predict(chunk).value, masks(chunk)[scored]
    warm = mask & (chunk.features[T2M] > 275)
    assert 0 < warm.sum() < mask.sum()
    same(result["rivals"]["other"]["scores"][scored], expected(chunk, scored, value + 2, warm))
    same(result["scores"][scored], expected(chunk, scored, value, mask))
    off = np.abs(value.astype(float) - chunk.target) - np.abs(value.astype(float) + 2 - chunk.target)
    paired = result["paired"][scored]["other"]
    assert paired["n"] == warm.sum()
    assert paired["difference_k"] == pytest.approx(off[warm].mean(), rel=1e-6)
    steps, rows, columns = np.nonzero(warm)
    assert paired["blocks"] <= len(set(zip(steps // 3, rows // 4, columns // 5, strict=True)))


def test_models_are_compared_by_group_on_the_cells_that_both_predict():
    chunk = cube(15)
    tally, mask = tally_of(chunk, other=off_by(3)), masks(chunk)["held_out_gaps"]
    paired = tally.paired("other")["held_out_gaps"]
    value = Line().predict(chunk).value.astype(float)
    off = np.abs(value - chunk.target) - np.abs(value + 3 - chunk.target)
    band = np.digitize(np.broadcast_to(chunk.lat[:, None], SHAPE), [-60, -30, 0, 30, 60])
    for k, (difference, n) in enumerate(paired.group("latitude")):
        here = mask & (band == k)
        assert n == here.sum()
        assert difference == (pytest.approx(off[here].mean(), rel=1e-5) if n else None)


def test_a_model_against_itself_differs_by_nothing():
    tests = tally_of(cube(16), other=off_by(0)).result("lst", [])["paired"]
    for scored in ("test", "held_out_gaps"):
        assert (tests[scored]["other"]["difference_k"], tests[scored]["other"]["p"]) == (0, 1)


def test_baselines_are_compared_too():
    chunk = cube(17)
    found = result_of(chunk)["paired"]["held_out_gaps"]["feature"]
    mask, value = masks(chunk)["held_out_gaps"], Line().predict(chunk).value.astype(float)
    off = np.abs(value - chunk.target) - np.abs(chunk.features[T2M].astype(float) - chunk.target)
    assert found["difference_k"] == pytest.approx(off[mask].mean(), rel=1e-6)
    assert found["n"] == mask.sum()


@pytest.mark.parametrize("scored", ["test", "held_out_gaps"])
def test_coverage_and_width_are_those_of_the_model_s_intervals(scored):
    chunk = cube(18)
    result = result_of(chunk)
    off = np.abs(Line().predict(chunk).value.astype(float) - chunk.target)[masks(chunk)[scored]]
    found = result["intervals"][scored]
    assert found["n"] == off.size
    assert found["coverage_90"] == pytest.approx((off <= 1.8).mean())
    assert found["width_90_k"] == pytest.approx(3.6)
    assert {float(level): row["inside"] for level, row in found["levels"].items()} == {
        level: pytest.approx((off <= 2 * level).mean()) for level in LEVELS
    }
    assert sum(row["n"] for row in found["groups"]["season"].values()) == off.size
    assert ("gap_size" in found["groups"]) == (scored == "held_out_gaps")


def test_a_model_without_an_uncertainty_has_no_coverage():
    other = tally_of(cube(19), other=off_by(1)).result("lst", CONFIG.groups)["rivals"]["other"]
    assert other["intervals"] == {"test": None, "held_out_gaps": None}
    assert set(other["groups"]) == set(CONFIG.groups)


def test_the_largest_errors_are_those_of_the_scored_cells():
    chunk = cube(20)
    mask = masks(chunk)["held_out_gaps"]
    off = np.where(mask, np.abs(Line().predict(chunk).value.astype(float) - chunk.target), 0)
    first = tally_of(chunk).outliers(chunk.time, chunk.lat, chunk.lon)[0]
    step, row, column = np.unravel_index(off.argmax(), SHAPE)
    assert (first["lat"], first["lon"]) == (chunk.lat[row], chunk.lon[column])
    assert first["time"] == str(chunk.time[step].astype("datetime64[m]"))
    assert abs(first["predicted_k"] - first["observed_k"]) == pytest.approx(off.max())


def test_a_cube_without_held_out_gaps_has_no_scores_for_them():
    result = result_of(dataclasses.replace(cube(), held_out=None))
    assert result["scores"]["held_out_gaps"] is None
    assert {row["held_out_gaps"] for row in result["baselines"].values()} == {None}
    assert {row["held_out_gaps"] for row in result["groups"]["season"].values()} == {None}
    assert result["groups"]["gap_size"] == {}
    assert result["scored"] == "test"
    assert result["intervals"]["held_out_gaps"] is None
    assert result["paired"]["held_out_gaps"] is None


def test_nothing_to_score_is_an_error_that_says_what_to_do():
    chunk = cube()
    empty = dataclasses.replace(chunk, features={T2M: np.full(SHAPE, np.nan, np.float32)})
    with pytest.raises(DataError, match=r"no cell has both an observation and a prediction.*features.*split.seed"):
        result_of(empty)


def test_values_off_the_mask_are_never_scored():
    chunk = cube(8)
    ice = dataclasses.replace(chunk, target=np.where(chunk.land, chunk.target, np.float32(9999)))
    assert result_of(ice)["scores"] == result_of(chunk)["scores"]
    assert result_of(ice)["baselines"] == result_of(chunk)["baselines"]


def test_flags_are_counted_over_all_cells_and_over_land():
    chunk = cube(9)
    flag = source_flags(chunk, Line().predict(chunk).value, Line().extrapolated(chunk))
    flags = result_of(chunk)["flags"]
    for kind in SourceFlag:
        assert flags[kind.name.lower()] == (flag == kind).sum()
        assert flags["land"][kind.name.lower()] == (flag == kind)[:, chunk.land].sum()
    assert sum(flags["land"].values()) == chunk.land.sum() * SHAPE[0]
    assert list(flags) == ["observed", "filled", "extrapolated", "not_fillable", "land"]


def test_the_result_is_plain_and_has_the_schema_of_the_report():
    result = result_of(cube())
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert list(result) == [
        "target", "unit", "model", "scored", "scores", "groups", "intervals", "rivals", "baselines", "paired", "flags"
    ]  # fmt: skip
    assert result["model"] == "line"
    assert list(result["scores"]) == ["test", "held_out_gaps"]
    assert list(result["scores"]["test"]) == ["mae_k", "rmse_k", "bias_k", "r2", "n", "weighted"]
    assert list(result["groups"]) == ["latitude", "season", "gap_size", "distance", "days"]
    assert list(result["baselines"]) == CONFIG.baselines


def leaves(tree, path=()):
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    else:
        yield path, tree


@pytest.mark.parametrize("chunks", [(6, 12, 10), (6, 5, 4), (6, 1, 10), (6, 12, 1)])
def test_windows_give_the_same_evaluation_in_any_order(chunks):
    chunk, config = cube(10), Evaluate(groups=["latitude", "season"])
    windows = [cut(chunk, w) for w in column_windows(SHAPE, chunks, 6 * chunks[1] * chunks[2])]
    sums = functools.reduce(operator.add, [DateSums.of(window) for window in windows])
    tallies = [tally_of(window, config, sums) for window in windows]
    left = functools.reduce(operator.add, tallies)
    right = functools.reduce(lambda a, b: b + a, tallies[::-1])
    want = dict(leaves(result_of(chunk, config)))
    for tally in (left, right):
        got = dict(leaves(tally.result("land_surface_temperature", config.groups)))
        assert got.keys() == want.keys()
        for path, value in want.items():
            assert got[path] == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value), path


def test_a_window_with_nothing_but_sea_adds_nothing_but_its_flags():
    chunk = cube(11)
    sea = dataclasses.replace(chunk, land=np.zeros(SHAPE[1:], bool))
    sums = DateSums.of(chunk)
    merged, alone = tally_of(sea, sums=sums) + tally_of(chunk, sums=sums), tally_of(chunk, sums=sums)
    assert merged.result("lst", CONFIG.groups)["scores"] == alone.result("lst", CONFIG.groups)["scores"]
    assert merged.flags[0].sum() == 2 * chunk.target.size
    assert merged.flags[1].sum() == alone.flags[1].sum()


def test_a_window_without_all_times_is_refused():
    window = cut(cube(), Window((0, 0, 0), (4, 12, 10)))
    with pytest.raises(ValueError, match="holds 4 of 6 steps"):
        tally_of(window)


def test_pictures_are_of_the_held_out_gaps():
    chunk = cube(12)
    tally, mask = tally_of(chunk), masks(chunk)["held_out_gaps"]
    fields = tally.figure_fields(chunk.lat, chunk.lon)
    error = np.where(mask, Line().predict(chunk).value.astype(float) - chunk.target, np.nan)
    with np.errstate(invalid="ignore"):
        mean = np.nansum(error, axis=0) / mask.sum(axis=0)
    np.testing.assert_array_equal(fields["error_n"], mask.sum(axis=0))
    np.testing.assert_allclose(fields["error_mean"], mean)
    assert fields["density"].sum() == fields["residual_counts"].sum() == mask.sum()
    np.testing.assert_allclose(fields["error_lat"], chunk.lat)


def test_the_map_shows_the_date_with_the_most_scored_cells_or_the_one_asked_for():
    chunk = cube(13)
    tally = tally_of(chunk)
    counts = sum(mask.sum(axis=(1, 2)) for mask in masks(chunk).values())
    assert tally.map_step(chunk.time) == np.argmax(counts)
    assert tally.map_step(chunk.time, "2003-03-04") == 3
    assert tally.map_step(chunk.time, "2003-07-20") == 4  # the nearest


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ("2001-01-01", "map_date '2001-01-01' lies outside the cube, 2002-12-19 to 2003-10-10"),
        ("2003-10-11", "choose a date inside"),
        ("NaT", "lies outside"),
        ("May", "'May' is not a date: write it like 2002-05-21"),
    ],
)
def test_a_map_date_that_cannot_be_drawn_is_refused(wish, words):
    with pytest.raises(ConfigError, match=words):
        tally_of(cube()).map_step(cube().time, wish)
