"""The gate against a real registry: first, better, worse, worse in a group, and a current model of other variables."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lstfill.config import Evaluate, Gate
from lstfill.evaluate import gate as gate_rule
from lstfill.steps import evaluate
from lstfill.tracking import Alias
from tests.steps.chain import FEATURE

ALIAS = "champion"


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch):
    """Scores alone: the pictures have tests of their own and take seconds."""
    monkeypatch.setattr(evaluate, "_report", lambda *_: ("<html></html>", {}))


class Registry:
    """Versions of a registered model, each the fitted line with another slope and intercept."""

    def __init__(self, fitted, root, name):
        from mlflow import MlflowClient

        self.fitted, self.root, self.uri = fitted, root, fitted.tracking.uri
        self.client, self.alias = MlflowClient(self.uri, self.uri), Alias(self.uri, name, ALIAS)
        self.client.create_registered_model(name)

    def add(self, slope=0.0, intercept=0.0, **card):
        """Registers a version as step train does; gives its model directory."""
        place = self.root / f"source-{len(list(self.root.iterdir()))}"
        directory = place / "lstfill"
        shutil.copytree(self.fitted.at("model"), directory)
        values = json.loads((directory / "model.json").read_text())
        values["parameters"]["slope"][FEATURE] += slope
        values["parameters"]["intercept"] += intercept
        (directory / "model.json").write_text(json.dumps(values | card))
        version = self.client.create_model_version(self.alias.name, str(place)).version
        origin = json.loads((directory / "provenance.json").read_text())
        origin["configuration"]["train"] |= {"register_as": self.alias.name, "alias": ALIAS}
        origin["facts"]["version"] = f"models:/{self.alias.name}/{version}"
        (directory / "provenance.json").write_text(json.dumps(origin))
        return directory

    def score(self, directory, **options):
        """Evaluates a version; gives what the evaluation says of the gate."""
        inputs = self.fitted.inputs("cube", "land", "parts") | {"model": str(directory)}
        output = f"{directory}-evaluation"
        evaluate.run(Evaluate(baselines=[], **options), self.fitted.tracking, **inputs, output=output)
        return json.loads(Path(output, "evaluation.json").read_text())

    def tags(self, version):
        return self.client.get_model_version(self.alias.name, version).tags


@pytest.fixture
def registry(fitted, tmp_path, request):
    return Registry(fitted, tmp_path, request.node.name)


def test_the_first_version_gets_the_alias(registry):
    gate = registry.score(registry.add())["gate"]
    assert (gate["promoted"], gate["version"], gate["current"]) == (True, "1", None)
    assert registry.alias.current() == "1"
    assert registry.tags("1")[f"gate.{ALIAS}.reason"].startswith("first")


def test_a_better_version_takes_it_and_a_worse_one_is_refused_with_the_reason(registry):
    registry.score(registry.add(intercept=4.0))
    better = registry.score(registry.add())
    assert registry.alias.current() == "2"
    assert better["gate"]["reason"].startswith("better, and no group is worse")
    current = better["rivals"][f"{ALIAS}@1"]["scores"]["held_out_gaps"]
    assert current["mae_k"] > better["scores"]["held_out_gaps"]["mae_k"] + 1
    assert current["n"] == better["scores"]["held_out_gaps"]["n"]

    worse = registry.score(registry.add(intercept=-4.0))["gate"]
    assert registry.alias.current() == "2"
    assert not worse["promoted"]
    assert worse["reason"].startswith("not shown to be better (p must be below 0.05)")
    tags = registry.tags("3")
    assert (tags[f"gate.{ALIAS}.verdict"], tags[f"gate.{ALIAS}.current"]) == ("refused", "2")
    assert tags[f"gate.{ALIAS}.reason"] == worse["reason"]
    assert float(tags[f"gate.{ALIAS}.p"]) == worse["test"]["p"] > 0.9


def test_better_on_the_whole_but_worse_in_one_group_is_refused(registry, monkeypatch):
    monkeypatch.setattr(gate_rule, "ENOUGH", 30)
    # The current line is right at 266 K, as in 60S-30S, and 8 K too warm in the tropics; the new one 4 K everywhere.
    registry.score(registry.add(slope=0.3, intercept=-80.0))
    directory = registry.add(intercept=4.0)
    refused = registry.score(directory, groups=["latitude"])["gate"]
    assert refused["test"]["p"] < 0.05
    assert refused["worst_group"]["label"] == "60S-30S"
    assert refused["reason"].startswith(f"worse by {refused['worst_group']['difference_k']:+.2f} K in ")
    assert registry.alias.current() == "1"
    assert registry.score(directory, groups=[])["gate"]["promoted"]
    assert registry.alias.current() == "2"


def test_the_level_is_the_one_of_the_configuration(registry):
    registry.score(registry.add(intercept=4.0))
    assert not registry.score(registry.add(), gate=Gate(level=1e-6))["gate"]["promoted"]


def test_an_evaluation_that_is_run_again_changes_nothing(registry):
    directory = registry.add()
    registry.score(directory)
    again = registry.score(directory)["gate"]
    assert (again["promoted"], again["current"]) == (True, "1")
    assert "already" in again["reason"]
    assert registry.alias.current() == "1"


def test_a_current_model_of_other_variables_keeps_the_alias_and_the_run_goes_on(registry):
    registry.alias.promote(str(registry.add(target={"name": "other", "units": "K"}) and 1), "first", {})
    gate = registry.score(registry.add())["gate"]
    assert not gate["promoted"]
    assert gate["reason"].startswith("not compared with version 1, which keeps the alias: ")
    assert "made for other" in gate["reason"]
    assert registry.alias.current() == "1"
    assert registry.tags("2")[f"gate.{ALIAS}.verdict"] == "refused"


def test_without_a_registered_alias_there_is_no_gate(fitted, tmp_path):
    inputs = fitted.inputs("cube", "land", "parts", "model")
    pointer = evaluate.run(Evaluate(baselines=[]), fitted.tracking, **inputs, output=f"{tmp_path}/evaluation")
    assert pointer.facts["gate"] is None
