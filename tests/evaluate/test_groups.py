"""Groups of scored cells against what surrounds them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lstfill.cube import Chunk, Window
from lstfill.evaluate.groups import LABELS, group_codes, labels_of
from lstfill.evaluate.land import LandCells
from lstfill.evaluate.series import Series
from lstfill.gaps import surroundings

ALL = tuple(LABELS)


@pytest.fixture(scope="module")
def chunk():
    """Ten dates of a coast, half of it visible, and some of that held out."""
    rng, shape = np.random.default_rng(0), (10, 6, 40)
    time = np.datetime64("2001-02-01", "ns") + np.cumsum(rng.integers(1, 30, 10)) * np.timedelta64(1, "D")
    target = np.where(rng.random(shape) < 0.5, 280.0, np.nan)
    land = rng.random(shape[1:]) < 0.7
    held_out = (rng.random(shape) < 0.3) & np.isfinite(target)
    lat, lon = np.linspace(75, -45, 6), np.linspace(0, 9, 40)
    return Chunk(Window((0, 0, 0), shape), shape, time, lat, lon, target, {}, land, held_out=held_out)


def at_land(chunk, cells):
    """Flat index among the land cells of cells of a window."""
    land = LandCells.of(chunk)
    return np.flatnonzero(land.of_window(cells)[..., 0])


def test_groups_are_the_surroundings_of_the_cells(chunk):
    held = chunk.held_out & chunk.land
    found = group_codes("held_out_gaps", chunk, LandCells.of(chunk), at_land(chunk, held), ALL)
    expected = surroundings(chunk, np.flatnonzero(held), ALL)
    assert list(found) == ["latitude", "season", "gap_size", "distance", "days"]
    for name, (codes, n) in found.items():
        assert n == len(LABELS[name])
        np.testing.assert_array_equal(codes, expected[name], err_msg=name)


def test_windows_of_some_dates_know_the_days_of_all(chunk):
    whole = group_codes(
        "held_out_gaps", chunk, LandCells.of(chunk), at_land(chunk, chunk.held_out & chunk.land), ["days"]
    )

    def window(start, stop):
        steps = slice(start, stop)
        return dataclasses.replace(
            chunk,
            window=Window((start, 0, 0), (stop, 6, 40)),
            time=chunk.time[steps],
            target=chunk.target[steps],
            held_out=chunk.held_out[steps],
        )

    windows = [window(0, 3), window(3, 4), window(4, 10)]
    series = Series((LandCells.of(of).chunk for of in reversed(windows)), ["held_out_gaps"])
    pieces = []
    for of in windows:
        land = LandCells.of(of)
        beyond = series.beyond(land.chunk)["held_out_gaps"]
        cells = at_land(of, of.held_out & of.land)
        pieces.append(group_codes("held_out_gaps", of, land, cells, ["days"], beyond)["days"][0])
    np.testing.assert_array_equal(np.concatenate(pieces), whole["days"][0])


def test_test_cells_lie_in_no_gap(chunk):
    cells = at_land(chunk, chunk.visible())
    found = group_codes("test", chunk, LandCells.of(chunk), cells, ALL)
    assert list(labels_of("test", ALL)) == ["latitude", "season"]
    assert list(labels_of("held_out_gaps", ["days", "season"])) == ["season", "days"]
    assert set(found["latitude"][0]) == {1, 2, 3, 4, 5}
    assert not any(found[name][0].any() for name in ("gap_size", "distance", "days"))


def test_no_cells_have_no_groups(chunk):
    found = group_codes("held_out_gaps", chunk, LandCells.of(chunk), np.zeros(0, np.intp), ALL)
    assert [codes.shape for codes, _ in found.values()] == [(0,)] * 5
