"""The report: one file that needs nothing else, says what was measured, and lets no text become markup."""

from __future__ import annotations

import base64
import copy
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from lstfill.evaluate import figures, report
from tests.evaluate import drawn

VOID = {"meta", "img", "br", "hr", "link", "input"}
MODEL = {
    "model": "linear",
    "features": [{"name": "air_temperature_2m", "range": [240.0, 310.5], "units": "K"}],
    "parameters": {"slope": {"air_temperature_2m": 1.12}, "intercept": -30.004},
}


class Page(HTMLParser):
    """Tags with their attributes, and the cells of each table row."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.rows, self.text = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open[-2:]):
            self.rows[-1][-1] += data.strip()
        if self.open and self.open[-1] not in ("style", "title"):
            self.text.append(data)


@pytest.fixture(scope="module")
def page():
    return report.render(drawn.run(model=MODEL), drawn.evaluation(), drawn.globe(30))


@pytest.fixture(scope="module")
def parsed(page):
    return Page(page)


def render_text(run=None, evaluation=None):
    """The page without pictures."""
    return report.render(run or drawn.run(), evaluation or drawn.evaluation(), drawn.globe(12), drawn={})


class TestSelfContained:
    def test_tags_are_closed(self, parsed):
        assert parsed.open == []

    def test_nothing_comes_from_outside(self, parsed):
        assert {tag for tag, _ in parsed.tags} & {"script", "link", "iframe", "object", "form", "a", "base"} == set()
        for tag, attributes in parsed.tags:
            for name, value in attributes.items():
                assert not name.startswith("on"), (tag, name)
                if name in ("src", "href", "srcset", "data", "action"):
                    assert value.startswith("data:image/png;base64,")

    def test_the_style_asks_for_nothing(self, page):
        style = page[page.index("<style>") : page.index("</style>")]
        assert "url(" not in style
        assert "@import" not in style

    def test_a_policy_forbids_the_rest(self, parsed):
        policies = [a["content"] for tag, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy"]
        assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]

    def test_every_figure_is_a_picture_with_words_for_it(self, parsed):
        images = [attributes for tag, attributes in parsed.tags if tag == "img"]
        assert len(images) == len(figures.figures(drawn.globe(12), drawn.evaluation()))
        for attributes in images:
            raw = base64.b64decode(attributes["src"].partition(",")[2], validate=True)
            with Image.open(io.BytesIO(raw)) as image:
                assert (image.format, image.mode) == ("PNG", "P")
                assert image.width / image.height == pytest.approx(
                    int(attributes["width"]) / int(attributes["height"]), rel=0.02
                )
            assert len(attributes["alt"]) > 20

    def test_the_noisiest_cube_stays_below_the_limit(self):
        rng = np.random.default_rng(0)
        lat, lon = np.linspace(89.9, -89.9, 360), np.linspace(-179.9, 179.9, 720)
        shape = (360, 720)
        noise = 280 + 20 * rng.normal(size=shape)
        land, holes = rng.random(shape) < 0.9, np.where(rng.random(shape) < 0.5, noise, np.nan)
        data = drawn.assemble(lat, lon, land, noise[::-1], noise, holes, rng)
        assert len(report.render(drawn.run(), drawn.evaluation(), data).encode()) < report.LARGEST

    def test_pictures_get_coarser_when_they_are_too_heavy(self, monkeypatch):
        made = {"filled": figures.filled_map(drawn.globe(30))}
        fine = report.pictures(made)["filled"]
        monkeypatch.setattr(report, "LARGEST", report._FOR_TEXT + len(fine.data) - 1)
        coarse = report.pictures(made)["filled"]
        assert len(coarse.data) < len(fine.data)
        assert (coarse.width, coarse.height) == (fine.width, fine.height)

    def test_the_palette_keeps_the_colours(self):
        figure = figures.filled_map(drawn.globe(60))
        raw = io.BytesIO()
        figure.savefig(raw, format="png", dpi=100)
        true = np.asarray(Image.open(raw).convert("RGB"), int)
        small = np.asarray(Image.open(io.BytesIO(report.png(figure, 100))).convert("RGB"), int)
        assert np.abs(true - small).mean() < 2


class TestEscaping:
    def test_no_text_becomes_markup(self):
        evil = "<script>alert('x')</script>"
        evaluation = drawn.evaluation()
        evaluation["target"] = evil
        evaluation["baselines"] = {evil: evaluation["baselines"]["feature"]}
        evaluation["rivals"] = {evil: evaluation["rivals"]["harmonic"]}
        evaluation["gate"] = {"promoted": True, "reason": evil, "name": evil, "alias": evil, "version": evil}
        evaluation["groups"] = {evil: {evil: {"test": drawn.SCORES, "held_out_gaps": None}}}
        run = drawn.run(
            title=evil, source=evil, identity=evil, versions={evil: evil}, config={evil: {evil: evil}},
            model={"model": evil, "features": []}, split_report={"reached": {evil: 1.0}, evil: evil},
        )  # fmt: skip
        text = render_text(run, evaluation)
        assert "<script" not in text
        assert Page(text).open == []
        assert "&lt;script&gt;" in text


class TestVerdict:
    def test_better_than_the_best_baseline(self):
        # 1 - 2.40 / 3.35 = 28.4 %
        assert report.verdict(drawn.evaluation()) == (
            "Behind held-out gaps the model is off by 2.40 K in the mean (MAE), 28 % less than the best baseline, "
            "temporal interpolation (3.35 K). Its 90 % intervals hold 89 % of the values."
        )

    def test_worse_is_said_as_plainly(self):
        evaluation = drawn.evaluation()
        evaluation["baselines"]["cell_mean"]["held_out_gaps"]["mae_k"] = 2.0
        assert "20 % more than the best baseline, cell mean (2.00 K)" in report.verdict(evaluation)

    def test_no_difference_that_shows(self):
        evaluation = drawn.evaluation()
        evaluation["baselines"]["cell_mean"]["held_out_gaps"]["mae_k"] = 2.4004
        assert "no better and no worse than the best baseline, cell mean (2.40 K)" in report.verdict(evaluation)

    def test_without_held_out_gaps(self):
        verdict = report.verdict(drawn.evaluation(held_out=False))
        assert verdict.startswith("On test cells (no gaps were held out) the model is off by 2.38 K")
        assert "temporal interpolation (3.10 K)" in verdict

    def test_without_baselines(self):
        assert report.verdict({**drawn.evaluation(), "baselines": {}}).endswith("no baseline was scored beside it.")

    def test_without_scores(self):
        nothing = {"scores": {"test": None, "held_out_gaps": None}, "baselines": {}}
        assert report.verdict(nothing) == ("Nothing could be scored.")


class TestEquation:
    def test_one_feature_in_kelvin(self):
        assert report.equation(MODEL, "lst") == "lst = 1.1200 · air_temperature_2m − 30.00 K"

    def test_signs(self):
        model = {"coefficients": {"slope": {"a": -0.5, "b": 2}, "intercept": 3}}
        assert report.equation(model, "lst") == "lst = − 0.5000 · a + 2.0000 · b + 3.00 K"

    def test_a_model_without_coefficients(self):
        model = {"model": "boosting", "features": [{"name": "a"}, {"name": "b"}]}
        assert report.equation(model, "lst") == "lst = boosting(a, b)"


class TestContent:
    def test_what_was_run_on_which_data(self, parsed):
        text = " ".join("".join(parsed.text).split())
        for fact in (
            "One line on air temperature", "s3://esdl-esdc-v2.1.1/esdc.zarr", "9f" * 32, "ab" * 32,
            "2002-05-21 to 2002-08-01 (10 steps)", "180 × 360 cells, longitude -180 to 180, latitude -90 to 90 degrees",
            "land_surface_temperature = 1.1200 · air_temperature_2m − 30.00 K",
            "trained on air_temperature_2m 240.0 to 310.5 K", "Maps of 2002-05-21",
        ):  # fmt: skip
            assert fact in text

    def test_scores_stand_beside_the_baselines(self, parsed):
        model = [row for row in parsed.rows if row[0] == "Linear"]
        assert model == [
            ["Linear", "2.38", "2.97", "+0.12", "0.931", "89.0", "9.80", "123\u2009456", "", "", "", ""],
            ["Linear", "2.48", "3.10", "-0.05", "0.920"],
            ["Linear", "2.40", "3.00", "+0.12", "0.931", "89.0", "9.80", "45\u2009678", "", "", "", ""],
            ["Linear", "2.50", "3.10", "-0.05", "0.920"],
        ]
        baselines = [row[:2] for row in parsed.rows if row[0] == "Temporal interpolation" and len(row) > 5]
        assert baselines == [["Temporal interpolation", "3.10"], ["Temporal interpolation", "3.35"]]

    def test_other_models_stand_below_with_the_paired_test(self, parsed):
        (_, harmonic), (_, boosting) = (
            [row for row in parsed.rows if row[0] == name and len(row) > 5] for name in ("Harmonic", "Boosting")
        )
        assert harmonic[5:] == ["89.0", "9.80", "45\u2009678", "-0.300", "-0.350 to -0.250", "0.012", "34"]
        assert boosting[5:7] == ["–", "–"]

    def test_a_rival_without_a_common_cell_has_no_test(self):
        evaluation = copy.deepcopy(drawn.evaluation())
        evaluation["paired"]["test"] = dict(evaluation["paired"]["test"])
        evaluation["paired"]["held_out_gaps"]["harmonic"] = None
        evaluation["paired"]["test"]["harmonic"] = {**drawn.paired(0.1), "interval_k": None}
        rows = [row for row in Page(render_text(evaluation=evaluation)).rows if row[0] == "Harmonic" and len(row) > 5]
        assert [row[8:] for row in rows] == [["+0.100", "–", "0.012", "34"], ["", "", "", ""]]

    def test_the_largest_errors_have_date_and_place(self, parsed):
        assert ["2008-12-10", "45.2000", "13.9000", "251.9", "279.0", "+27.1"] in parsed.rows
        assert "undetected cloud" in "".join(parsed.text)

    def test_the_gate_s_verdict_and_its_reason(self):
        gate = {
            "promoted": False,
            "reason": "not shown to be better",
            "name": "lst",
            "alias": "champion",
            "version": "4",
        }
        text = render_text(evaluation=drawn.evaluation() | {"gate": gate})
        assert "Version 4 was refused it. Not shown to be better." in text
        assert "Version 4 has it" in render_text(evaluation=drawn.evaluation() | {"gate": gate | {"promoted": True}})

    def test_shares_inside_by_level(self, parsed):
        assert ["holds / %, held-out gaps", "49.0", "67.3", "79.0", "89.0", "94.0"] in parsed.rows

    def test_a_model_without_an_uncertainty_says_so(self):
        evaluation = drawn.evaluation() | {"intervals": drawn.NO_INTERVALS}
        text = render_text(evaluation=evaluation)
        assert "The model has no calibrated uncertainty" in text
        assert "intervals hold" not in report.verdict(evaluation)

    def test_groups_have_their_rows(self, parsed):
        rows = {row[0]: row[1] for row in parsed.rows if row}
        assert (rows["30°S to 0°"], rows["JJA"], rows["1-9"]) == ("71.0", "2.50", "1.90")
        assert [row[:2] for row in parsed.rows if row[0] == "JJA"] == [["JJA", "2.40"], ["JJA", "2.50"]]

    def test_groups_have_coverage_and_the_errors_of_the_other_models(self, parsed):
        (row,) = [row for row in parsed.rows if row[0] == "1-9"]
        assert row[5:] == ["93.1", "9.80", "100", "2.20", "1.95"]

    def test_coverage_in_percent(self, parsed):
        assert ["Filled", "250", "27.78", "250", "25.00"] in parsed.rows
        assert ["Not fillable", "0", "0.00", "100", "10.00"] in parsed.rows

    def test_shares_of_the_split(self, parsed):
        assert ["asked", "70.0", "10.0", "20.0"] in parsed.rows
        assert ["reached", "71.0", "10.0", "19.0"] in parsed.rows
        assert ["0° to 30°N", "69.0", "11.0", "20.0"] in parsed.rows

    def test_a_split_out_of_balance_is_said(self):
        run = drawn.run()
        run["split_report"]["within_2_points"] = False
        assert "not every band is within 2 points" in render_text(run)

    def test_configuration_and_versions(self, parsed):
        for row in (["train.epochs", "10"], ["source.time", "null"], ["lstfill", "0.1.0"]):
            assert row in parsed.rows

    def test_undefined_numbers_are_dashes(self):
        evaluation = copy.deepcopy(drawn.evaluation())
        evaluation["scores"]["test"] = {**drawn.SCORES, "r2": None}
        row = next(row for row in Page(render_text(evaluation=evaluation)).rows if row[0] == "Linear")
        assert row[4] == "–"

    def test_what_was_not_scored_is_said(self):
        text = render_text(evaluation=drawn.evaluation(held_out=False))
        assert "no gaps were held out in this run" in text
        assert "on test cells; white is zero" in report._captions(drawn.globe(12), drawn.evaluation(False))["error"]

    def test_no_loss_curve_is_said(self):
        assert "the model has no epochs, or was not fitted in this run" in render_text()

    def test_a_report_without_a_split_or_groups(self):
        text = render_text(drawn.run(split_report={}), {**drawn.evaluation(), "groups": {}})
        assert "No break-downs were asked for" in text
        assert Page(text).open == []


class TestNotes:
    def test_clear_sky_and_the_bias_under_cloud_are_always_said(self):
        notes = " ".join(report.notes(drawn.run(), drawn.evaluation()))
        assert "clear-sky equivalents" in notes
        assert "say nothing of the bias under cloud" in notes

    @pytest.mark.parametrize(
        ("split", "words"),
        [
            ({"kind": "random"}, "test scores look too good"),
            ({"kind": "block", "buffer": {"time": 0, "lat": 0, "lon": 0}}, "no buffer was asked for"),
            ({"kind": "block", "buffer": {"time": 0, "lat": 5, "lon": 5}}, "a buffer keeps the parts apart"),
        ],
    )
    def test_the_split(self, split, words):
        assert words in " ".join(report.notes(drawn.run(config={"split": split}), drawn.evaluation()))

    def test_extrapolation_only_where_there_is_some(self):
        evaluation = drawn.evaluation()
        assert "Extrapolated values" in " ".join(report.notes(drawn.run(), evaluation))
        evaluation["flags"]["extrapolated"] = 0
        assert "Extrapolated values" not in " ".join(report.notes(drawn.run(), evaluation))

    def test_without_held_out_gaps(self):
        assert "No gaps were held out" in " ".join(report.notes(drawn.run(), drawn.evaluation(held_out=False)))


def test_it_is_the_same_page_every_time():
    first, second = (report.render(drawn.run(), drawn.evaluation(), drawn.globe(12)) for _ in range(2))
    assert re.sub(r"\s+", " ", first) == re.sub(r"\s+", " ", second)
