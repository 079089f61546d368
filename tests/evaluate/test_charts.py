"""Charts: what they show is what stands in the evaluation, each model under its name."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from matplotlib.collections import QuadMesh

from lstfill.evaluate import charts
from tests.evaluate import drawn


class TestDistributions:
    def test_observed_is_across_and_predicted_is_up(self):
        data = drawn.globe(12)
        density = np.zeros_like(data.density)
        density[40, 240] = 7  # observed 200 K, predicted 300 K
        figure = charts.scatter_figure(dataclasses.replace(data, density=density), drawn.SCORES)
        (mesh,) = [c for c in figure.axes[0].collections if isinstance(c, QuadMesh)]
        assert mesh.get_array()[240, 40] == 7
        low, high = figure.axes[0].get_xlim()
        assert low < 200
        assert high > 300.5

    def test_it_has_the_line_of_equality_and_the_numbers(self):
        axes = charts.scatter_figure(drawn.globe(12), drawn.SCORES, "test cells").axes[0]
        x, y = axes.lines[0].get_data()
        np.testing.assert_array_equal(x, y)
        assert axes.texts[0].get_text().split("\n") == [
            "MAE 2.40 K", "RMSE 3.01 K", "bias +0.12 K", "R² 0.931", "n 123 456"
        ]  # fmt: skip
        assert axes.get_title(loc="left") == "Predicted and observed, test cells"

    def test_numbers_that_are_not_defined_are_left_out(self):
        axes = charts.scatter_figure(drawn.globe(12), {**drawn.SCORES, "r2": None}).axes[0]
        assert "R²" not in axes.texts[0].get_text()

    def test_the_histogram_of_errors_is_a_density_in_percent(self):
        data = drawn.globe(30)
        axes = charts.residual_figure(data, drawn.SCORES).axes[0]
        values, edges, _ = axes.patches[0].get_data()
        assert (values * np.diff(edges)).sum() == pytest.approx(100)
        low, high = axes.get_xlim()
        assert low == -high

    def test_bars_are_the_errors_of_all_models_and_baselines(self):
        axes = charts.comparison_figure(drawn.evaluation()).axes[0]
        widths = [[bar.get_width() for bar in bars] for bars in axes.containers]
        assert widths == [[2.38, 2.6, 2.5, 4.2, 9.1, 3.9, 3.1], [2.40, 2.7, 2.45, 4.3, 9.2, 3.95, 3.35]]
        names = [text.get_text() for text in axes.get_yticklabels()]
        assert names[:4] == ["linear", "harmonic", "boosting", "feature"]

    def test_bars_of_a_run_without_held_out_gaps(self):
        axes = charts.comparison_figure(drawn.evaluation(held_out=False)).axes[0]
        assert len(axes.containers) == 1


def lines(axes):
    return {line.get_label(): line for line in axes.lines}


class TestByGap:
    def test_each_model_has_a_line_of_its_errors_by_size_of_the_gap(self):
        axes = charts.by_gap_figure(drawn.evaluation(), "held_out_gaps").axes[0]
        found = lines(axes)
        assert list(found) == ["Linear", "Harmonic", "Boosting"]
        np.testing.assert_allclose(found["Harmonic"].get_ydata(), [2.2, 2.2])
        assert [text.get_text() for text in axes.get_xticklabels()] == ["1-9", "10-99"]

    def test_a_label_that_a_model_has_no_cell_of_is_left_out_of_its_line(self):
        evaluation = drawn.evaluation()
        del evaluation["rivals"]["harmonic"]["groups"]["gap_size"]["10-99"]
        line = lines(charts.by_gap_figure(evaluation, "held_out_gaps").axes[0])["Harmonic"]
        assert np.isnan(line.get_ydata()).tolist() == [False, True]

    def test_distance_has_a_panel_of_its_own(self):
        evaluation = drawn.evaluation()
        evaluation["groups"]["distance"] = {"1": {"test": None, "held_out_gaps": drawn.scores(1.5)}}
        assert len(charts.by_gap_figure(evaluation, "held_out_gaps").axes) == 2

    def test_there_is_nothing_to_show_of_a_run_without_held_out_gaps(self):
        assert charts.has_gap_groups(drawn.evaluation(), "held_out_gaps")
        assert not charts.has_gap_groups(drawn.evaluation(held_out=False), "test")


class TestReliability:
    def test_each_model_with_intervals_has_a_line(self):
        found = lines(charts.reliability_figure(drawn.evaluation(), "held_out_gaps").axes[0])
        assert list(found) == ["as promised", "Linear", "Harmonic"]
        nominal, inside = found["Linear"].get_data()
        np.testing.assert_allclose(nominal, [50, 68.3, 80, 90, 95])
        np.testing.assert_allclose(inside, np.array(nominal) - 1)

    def test_the_diagonal_is_what_is_promised(self):
        x, y = lines(charts.reliability_figure(drawn.evaluation(), "test").axes[0])["as promised"].get_data()
        np.testing.assert_array_equal(x, y)

    def test_models_without_intervals_have_none_to_draw(self):
        evaluation = drawn.evaluation() | {"intervals": drawn.NO_INTERVALS, "rivals": {}}
        assert not charts.has_intervals(evaluation, "held_out_gaps")
