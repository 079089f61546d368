"""Figures are looked at as pictures: the pixel of a known cell, the same colours, the line where the coast is."""

from __future__ import annotations

import dataclasses
import gc
import subprocess
import sys
import warnings
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh

from lstfill.evaluate import figures, maps
from tests.evaluate import drawn

MAPS = {
    "feature": figures.feature_map,
    "target": figures.target_map,
    "filled": figures.filled_map,
    "uncertainty": figures.uncertainty_map,
    "split": figures.split_map,
    "source": figures.source_map,
    "error": figures.error_map,
}
# A cell in the north-west, its mirror images elsewhere: a map upside down or back to front shows one of them.
HOT = (40.0, -66.0)


def pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def colour_at(figure, lat, lon, axes=0):
    """Colour of the picture where the axes' own ticks say that a place is."""
    picture = pixels(figure)
    x, y = figure.axes[axes].transData.transform((lon, lat))
    return tuple(int(c) for c in picture[picture.shape[0] - 1 - int(y), int(x)])


def with_hot_cell(*, lat_down, lon_down, gaussian=False):
    """A globe of 4 degree cells with one cell of another value, class and flag in every field."""
    lat = np.arange(-88.0, 90, 4)
    if gaussian:
        lat = np.rad2deg(np.arcsin(np.linspace(-0.999, 0.999, 45)))
    lon = np.arange(-178.0, 180, 4)
    lat, lon = (lat[::-1] if lat_down else lat), (lon[::-1] if lon_down else lon)
    row, column = np.abs(lat - HOT[0]).argmin(), np.abs(lon - HOT[1]).argmin()
    shape = (len(lat), len(lon))
    fields = {name: np.full(shape, value) for name, value in (("cold", 250.0), ("flat", 0.0))}
    hot, error = fields["cold"].copy(), fields["flat"].copy()
    hot[row, column], error[row, column] = 300.0, 5.0
    part, flag = np.zeros(shape, np.int8), np.ones(shape, np.uint8)
    part[row, column], flag[row, column] = 2, 2
    data = dataclasses.replace(
        drawn.globe(12), lat=lat, lon=lon, land=np.ones(shape, bool), feature=hot, target=hot, part=part,
        held_out=None, filled=hot, flag=flag, uncertainty=hot, error_lat=lat, error_lon=lon, error_mean=error,
    )  # fmt: skip
    return data, (lat[row], lon[column])


class TestTheRightWayUp:
    @pytest.mark.parametrize("lat_down", [False, True])
    @pytest.mark.parametrize("lon_down", [False, True])
    @pytest.mark.parametrize("name", MAPS)
    def test_the_known_cell_is_at_its_coordinates_and_nowhere_else(self, name, lat_down, lon_down):
        data, (lat, lon) = with_hot_cell(lat_down=lat_down, lon_down=lon_down)
        figure = MAPS[name](data)
        hot, others = (
            colour_at(figure, lat, lon),
            [(-lat, lon), (lat, -lon), (-lat, -lon), (lat, lon + 4), (lat - 4, lon)],
        )
        for place in others:
            assert colour_at(figure, *place) != hot
        assert len({colour_at(figure, *place) for place in others}) == 1

    @pytest.mark.parametrize("lat_down", [False, True])
    def test_north_is_up_and_east_is_right_on_the_page(self, lat_down):
        data, _ = with_hot_cell(lat_down=lat_down, lon_down=False)
        figure = figures.filled_map(data)
        hot = colour_at(figure, *HOT)
        box = figure.axes[0].bbox
        picture = pixels(figure)
        inside = picture[
            int(picture.shape[0] - box.y1) + 2 : int(picture.shape[0] - box.y0) - 2, int(box.x0) + 2 : int(box.x1) - 2
        ]
        rows, columns = np.nonzero((inside == hot).all(-1))
        # 40 N is 50 of 180 degrees from the top, 66 W is 114 of 360 from the left.
        assert rows.mean() / inside.shape[0] == pytest.approx(50 / 180, abs=0.02)
        assert columns.mean() / inside.shape[1] == pytest.approx(114 / 360, abs=0.02)

    @pytest.mark.parametrize("lat_down", [False, True])
    def test_rows_that_are_not_evenly_spaced_stand_where_they_belong(self, lat_down):
        data, (lat, lon) = with_hot_cell(lat_down=lat_down, lon_down=False, gaussian=True)
        figure = figures.filled_map(data)
        assert any(isinstance(artist, QuadMesh) for artist in figure.axes[0].collections)
        assert colour_at(figure, lat, lon) != colour_at(figure, -lat, lon)
        assert colour_at(figure, lat, lon) != colour_at(figure, lat - 5, lon)

    def test_the_globe_reaches_from_pole_to_pole(self):
        data = drawn.globe(90)
        axes = figures.filled_map(data).axes[0]
        assert (axes.get_xlim(), axes.get_ylim()) == ((-180, 180), (-90, 90))
        assert axes.images[-1].get_extent() == pytest.approx([-180, 180, -90, 90])

    def test_over_the_date_line(self):
        lat, lon = np.array([10.5, 11.5]), np.array([170.5, 180.5, 190.5])
        grid = maps.Grid.of(lat, lon)
        assert grid.extent == (165.5, 195.5, 10, 12)
        assert maps.degrees(190, "EW") == "170°W"


class TestGrid:
    @given(st.integers(1, 5000), st.booleans())
    @settings(max_examples=40, deadline=None)
    def test_each_drawn_cell_lies_in_its_borders(self, n, down):
        lon = -180 + (np.arange(n) + 0.5) * 360 / n
        lon = lon[::-1] if down else lon
        grid = maps.Grid.of(np.array([0.0, 1.0]), lon)
        assert len(grid.columns) <= maps.MAX_CELLS
        assert (np.diff(grid.lon_edges) > 0).all()
        centres = lon[grid.columns]
        assert (grid.lon_edges[:-1] < centres).all()
        assert (centres < grid.lon_edges[1:]).all()
        if n > 1:
            assert (grid.lon_edges[0], grid.lon_edges[-1]) == pytest.approx((-180, 180))

    def test_take_turns_south_up(self):
        grid = maps.Grid.of(np.array([20.0, 10.0]), np.array([1.0, 2.0, 3.0]))
        np.testing.assert_array_equal(grid.take(np.array([[1, 2, 3], [4, 5, 6]])), [[4, 5, 6], [1, 2, 3]])

    @pytest.mark.parametrize(
        ("value", "suffixes", "text"),
        [(30, "NS", "30°N"), (-7.5, "NS", "7.5°S"), (0, "NS", "0°"), (-120, "EW", "120°W"), (240, "EW", "120°W"),
         (180, "EW", "180°"), (-180, "EW", "180°"), (360, "EW", "0°"), (90, "NS", "90°N")],
    )  # fmt: skip
    def test_degrees(self, value, suffixes, text):
        assert maps.degrees(value, suffixes) == text


class TestHonesty:
    def test_observed_and_filled_share_their_colours(self):
        data = drawn.globe(30)
        norms = [function(data).axes[0].images[-1].norm for function in (figures.target_map, figures.filled_map)]
        both = np.concatenate([data.target.ravel(), data.filled.ravel()])
        expected = tuple(np.nanpercentile(both, (1, 99)))
        for norm in norms:
            assert (norm.vmin, norm.vmax) == pytest.approx(expected)

    def test_zero_is_in_the_middle_of_the_error_scale(self):
        data = dataclasses.replace(drawn.globe(30), error_mean=np.full((30, 60), -3.0))
        norm = figures.error_map(data).axes[0].images[-1].norm
        assert (norm.vmin, norm.vmax) == (-3, 3)

    def test_land_without_a_value_is_grey_and_the_sea_is_not(self):
        data = drawn.globe(90)
        data = dataclasses.replace(data, target=np.full_like(data.target, np.nan))
        figure = figures.target_map(data)
        grey, sea = (tuple(int(c[k : k + 2], 16) for k in (1, 3, 5)) for c in (maps.NO_VALUE, maps.OFF_LAND))
        assert colour_at(figure, 40, -60) == grey
        assert colour_at(figure, -60, -60) == sea

    def test_the_coast_is_the_border_of_the_mask(self):
        data = drawn.globe(90)
        land = np.zeros((90, 180), bool)
        land[(data.lat > 20) & (data.lat < 40)] = (data.lon > -100) & (data.lon < -60)
        axes = figures.target_map(dataclasses.replace(data, land=land)).axes[0]
        (coast,) = [c for c in axes.collections if c.get_linewidth()[0] < 0.5]
        points = np.concatenate([path.vertices for path in coast.get_paths()])
        assert points.min(0) == pytest.approx([-100, 20])
        assert points.max(0) == pytest.approx([-60, 40])

    @pytest.mark.parametrize("name", ["feature", "target", "filled", "uncertainty", "split", "source"])
    def test_titles_say_the_date(self, name):
        assert MAPS[name](drawn.globe(12)).axes[0].get_title(loc="left").endswith("2002-05-21")

    def test_titles_say_the_variable(self):
        data = dataclasses.replace(drawn.globe(12), target_name="lst_day")
        assert figures.target_map(data).axes[0].get_title(loc="left").startswith("Lst day, observed")
        assert figures.feature_map(data).axes[0].get_title(loc="left").startswith("Air temperature 2m")

    def test_overpasses_of_one_day_are_told_apart(self):
        data = drawn.globe(12, date=np.datetime64("2019-06-01T08:43:21", "ns"))
        assert figures.target_map(data).axes[0].get_title(loc="left").endswith("2019-06-01 08:43")

    def test_colour_bars_say_the_unit(self):
        data = dataclasses.replace(drawn.globe(12), feature_unit="m")
        labels = {name: MAPS[name](data).axes[1].get_ylabel() for name in MAPS}
        assert labels["feature"] == "m"
        assert {labels[name] for name in ("target", "filled", "uncertainty")} == {"K"}
        assert labels["error"] == "predicted − observed (K)"

    def test_clipped_colours_have_arrows(self):
        assert figures._clipped(np.array([1.0, 2, np.nan]), (1, 2)) == (False, False)
        assert figures._clipped(np.array([0.0, 2, np.nan]), (1, 2)) == (True, False)
        assert figures._clipped(np.array([0.0, 3]), (1, 2)) == (True, True)

    def test_uncertainty_is_shown_of_filled_values_only(self):
        data = drawn.globe(30)
        shown = ~np.ma.getmaskarray(figures.uncertainty_map(data).axes[0].images[-1].get_array())
        assert shown.sum() == np.isin(data.flag, (1, 2)).sum()

    def test_held_out_gaps_stand_above_the_split(self):
        data = drawn.globe(30)
        shown = figures.split_map(data).axes[0].images[-1].get_array()
        assert (shown == 4).sum() == data.held_out.sum() > 0
        labels = [text.get_text() for text in figures.split_map(data).axes[1].get_yticklabels()]
        assert labels == ["train", "validation", "test", "none", "held-out gap"]

    def test_without_held_out_gaps_they_are_not_in_the_key(self):
        figure = figures.split_map(dataclasses.replace(drawn.globe(12), held_out=None))
        assert [text.get_text() for text in figure.axes[1].get_yticklabels()] == ["train", "validation", "test", "none"]

    @pytest.mark.parametrize(("south", "north", "aspect"), [(-90, 90, 1), (59.5, 60.5, 2), (-46, -44, 2**0.5)])
    def test_a_degree_has_its_proportions(self, south, north, aspect):
        lat = np.linspace(south, north, 21)[1::2]
        data = dataclasses.replace(drawn.globe(10), lat=lat, lon=np.linspace(10, 11, 41)[1::2])
        assert figures.filled_map(data).axes[0].get_aspect() == pytest.approx(aspect, rel=1e-6)


class TestErrorBesideUncertainty:
    def test_both_have_the_same_colours_and_show_the_same_cells(self):
        data = drawn.globe(30)
        figure = figures.error_beside_uncertainty(data)
        left, right = (axes.images[-1] for axes in figure.axes[:2])
        assert (left.norm.vmin, left.norm.vmax) == (right.norm.vmin, right.norm.vmax)
        assert left.norm.vmin == 0
        known = [~np.ma.getmaskarray(image.get_array()) for image in (left, right)]
        np.testing.assert_array_equal(*known)
        assert known[0].sum() == np.isfinite(data.error_uncertainty).sum() > 0

    def test_errors_are_sizes_and_cells_without_an_uncertainty_are_left_out(self):
        data = drawn.globe(12)
        error, uncertainty = np.full((12, 24), np.nan), np.full((12, 24), np.nan)
        error[2, 3], error[4, 5], uncertainty[2, 3] = -2.0, 9.0, 1.0
        data = dataclasses.replace(data, error=error, error_uncertainty=uncertainty)
        shown = figures.error_beside_uncertainty(data).axes[0].images[-1].get_array()
        assert shown.compressed().tolist() == [2.0]

    @pytest.mark.parametrize("lat_down", [False, True])
    def test_both_are_the_right_way_up(self, lat_down):
        data, (lat, lon) = with_hot_cell(lat_down=lat_down, lon_down=False)
        small = 5 - data.error_mean  # 0 K in the known cell, and 5 K elsewhere
        data = dataclasses.replace(data, error=small, error_uncertainty=small)
        figure = figures.error_beside_uncertainty(data)
        for axes in (0, 1):
            assert colour_at(figure, lat, lon, axes) != colour_at(figure, -lat, lon, axes)


class TestAll:
    def test_all_figures_in_their_order(self):
        names = list(figures.figures(drawn.globe(12), drawn.evaluation()))
        assert names == [
            "feature", "target", "split", "filled", "source", "uncertainty", "error", "error_uncertainty",
            "comparison", "by_gap", "reliability", "scatter", "residuals", "loss",
        ]  # fmt: skip

    def test_a_cube_without_a_feature_and_a_model_without_an_uncertainty(self):
        nothing = np.full((12, 24), np.nan)
        data = dataclasses.replace(
            drawn.globe(12), feature=None, feature_name="", uncertainty=nothing, error_uncertainty=nothing
        )
        evaluation = drawn.evaluation() | {"intervals": drawn.NO_INTERVALS, "rivals": {}, "groups": {}}
        names = list(figures.figures(data, evaluation))
        assert names == [
            "target", "split", "filled", "source", "error", "comparison", "scatter", "residuals", "loss"
        ]  # fmt: skip

    def test_a_figure_is_drawn_when_it_is_asked_for_and_kept_by_nobody(self):
        made = figures.figures(drawn.globe(12), drawn.evaluation())
        figure = weakref.ref(made["filled"])
        gc.collect()
        assert figure() is None
        assert len(made) == 14

    def test_without_a_history_there_is_no_loss_curve(self):
        assert "loss" not in figures.figures(drawn.globe(12, history=None), drawn.evaluation())

    @pytest.mark.parametrize(("held_out", "words"), [(True, "held-out gaps"), (False, "test cells")])
    def test_titles_name_the_cells_that_were_scored(self, held_out, words):
        made = figures.figures(drawn.globe(12), drawn.evaluation(held_out))
        for name in ("error", "scatter", "residuals"):
            assert words in made[name].axes[0].get_title(loc="left")

    @pytest.mark.parametrize(
        "changes",
        [
            {"land": np.ones((12, 24), bool)},
            {"land": np.zeros((12, 24), bool)},
            {"target": np.full((12, 24), np.nan)},
            {"target": np.full((12, 24), np.nan), "filled": np.full((12, 24), np.nan)},
            {"feature": np.full((12, 24), np.nan)},
            {"filled": np.full((12, 24), 280.0), "target": np.full((12, 24), 280.0)},
            {"error_mean": np.full((12, 24), np.nan)},
            {"error_mean": np.zeros((12, 24))},
            {"flag": np.zeros((12, 24), np.uint8)},
            {"density": np.zeros((330, 330), np.int64), "residual_counts": np.zeros(240, np.int64)},
            {"held_out": None, "history": None},
        ],
        ids=lambda changes: "-".join(changes),
    )
    def test_odd_data_is_drawn_without_a_warning(self, changes):
        data = dataclasses.replace(drawn.globe(12), **changes)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for figure in [*figures.figures(data, drawn.evaluation()).values(), figures.lead_figure(data)]:
                pixels(figure)

    @pytest.mark.parametrize("shape", [(1, 1), (1, 8), (8, 1)])
    def test_a_cube_of_one_row_or_column(self, shape):
        lat, lon = 40.0 + np.arange(shape[0]), 10.0 + np.arange(shape[1])
        field = np.full(shape, 280.0)
        data = drawn.assemble(lat, lon, field > 0, field, field, field, np.random.default_rng(0))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pixels(figures.filled_map(data))

    def test_nothing_global_is_touched(self):
        code = (
            "import sys; from matplotlib import rcParams\n"
            "state = lambda: {name: rcParams[name] for name in rcParams if name != 'backend'}; before = state()\n"
            "from tests.evaluate import drawn; from lstfill.evaluate import figures, report\n"
            "[report.png(f, 50) for f in figures.figures(drawn.globe(12), drawn.evaluation()).values()]\n"
            "print('matplotlib.pyplot' in sys.modules, state() == before)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "False True"


class TestLead:
    def test_before_and_after_share_one_scale(self):
        data = drawn.globe(30)
        figure = figures.lead_figure(data)
        before, after = figure.axes[:2]
        assert before.images[-1].norm.vmin == after.images[-1].norm.vmin
        missing = np.isnan(data.target[data.land]).mean()
        assert before.get_title(loc="left") == f"Observed, 2002-05-21: {100 * missing:.0f} % of the land has no value"
        assert after.get_title(loc="left") == "Filled, 2002-05-21"
        assert figure.axes[2].get_ylabel() == "Land surface temperature (K)"

    @pytest.mark.parametrize("lat_down", [False, True])
    def test_both_are_the_right_way_up(self, lat_down):
        data, (lat, lon) = with_hot_cell(lat_down=lat_down, lon_down=False)
        figure = figures.lead_figure(data)
        for axes in (0, 1):
            assert colour_at(figure, lat, lon, axes) != colour_at(figure, -lat, lon, axes)
