"""A model that a run registered predicts what its filled cube holds, for anyone, without training."""

from __future__ import annotations

import numpy as np
import pytest

from lstfill import cli
from lstfill.config import Evaluate, Predict, Tracking, Train
from lstfill.cube.flags import SourceFlag
from lstfill.steps import evaluate, predict, train
from lstfill.storage import objects, stores
from lstfill.synthetic import FEATURE, TARGET
from tests import made
from tests.pipelines.conftest import ALIAS, MODEL

REGISTERED = f"models:/{MODEL}@{ALIAS}"
NAMES = (TARGET, f"{TARGET}_source", f"{TARGET}_uncertainty")

pytestmark = [
    pytest.mark.timeout(900),  # the two runs, for whichever test comes first
    pytest.mark.usefixtures("opened"),
]


def arrays(uri):
    with stores.open_whole(uri) as ds:
        return {name: ds[name].values for name in NAMES}


@pytest.fixture(scope="module")
def filled(ran, opened):
    return arrays(ran.first.summary["filled"])


@pytest.fixture(scope="module")
def tracking(ran, opened):
    return Tracking(uri=ran.first.summary["mlflow"]["tracking_uri"], experiment="registered")


@pytest.fixture(scope="module")
def pretrained(ran, tracking, tmp_path_factory):
    """A model directory that step ``train`` made of the registered model, without a fit."""
    output = str(tmp_path_factory.mktemp("pretrained") / "model")
    made_by = {"samples": "preprocess", "cube": "ingest", "land": "mask", "parts": "split"}
    inputs = {name: ran.address(step, name) for name, step in made_by.items()}
    return train.run(Train(pretrained=REGISTERED), tracking, **inputs, output=output)


class TestPyfunc:
    @pytest.fixture
    def loaded(self, ran, monkeypatch):
        import mlflow

        # As in anyone's notebook: the address of the server, and the name.
        monkeypatch.setenv("MLFLOW_TRACKING_URI", ran.first.summary["mlflow"]["tracking_uri"])
        return mlflow.pyfunc.load_model(REGISTERED)

    def test_predicts_what_the_filled_cube_holds(self, loaded, filled):
        import pandas as pd

        gap = np.isin(filled[f"{TARGET}_source"], (SourceFlag.FILLED, SourceFlag.EXTRAPOLATED))
        assert gap.sum() > 1000
        table = pd.DataFrame({FEATURE: made.cube()[FEATURE].to_numpy()[gap]})
        predicted = np.asarray(loaded.predict(table)).reshape(-1)
        np.testing.assert_allclose(predicted, filled[TARGET][gap], rtol=0, atol=1e-3)

    def test_has_a_signature_and_an_example(self, loaded):
        assert loaded.metadata.signature.inputs.input_names() == [FEATURE]
        assert list(loaded.input_example.columns) == [FEATURE]

    def test_refuses_a_table_without_the_feature(self, loaded):
        import pandas as pd
        from mlflow.exceptions import MlflowException

        with pytest.raises(MlflowException, match=FEATURE):
            loaded.predict(pd.DataFrame({"wind": [1.0]}))


class TestFillWithoutTraining:
    def fill(self, ran, tmp_path, *more):
        config = made.write_config(
            tmp_path / "c.yaml", "unused", tracking={"uri": self.uri(ran), "experiment": "registered"}
        )
        output = tmp_path / "filled.zarr"
        inputs = ["--cube", ran.address("ingest", "cube"), "--land", ran.address("mask", "land")]
        status = cli.main(
            ["predict", "--config", str(config), *inputs, "--model", REGISTERED, "--output", str(output), *more]
        )
        assert status == 0
        return output

    def uri(self, ran):
        return ran.first.summary["mlflow"]["tracking_uri"]

    def test_from_the_command_line_to_the_same_bits(self, ran, filled, tmp_path):
        output = self.fill(ran, tmp_path)
        for name, values in arrays(str(output)).items():
            assert values.tobytes() == filled[name].tobytes(), name

    def test_the_second_version_by_number(self, ran, tracking, tmp_path):
        """Without the alias: the run with another learning rate."""
        output = str(tmp_path / "filled.zarr")
        cube, land = ran.address("ingest", "cube"), ran.address("mask", "land")
        predict.run(Predict(), tracking, cube=cube, land=land, model=f"models:/{MODEL}/2", output=output)
        second = arrays(ran.second.summary["filled"])
        for name, values in arrays(output).items():
            assert values.tobytes() == second[name].tobytes(), name


class TestPretrained:
    def test_the_step_takes_the_model_as_it_is(self, ran, pretrained):
        taken = objects.get_bytes(f"{pretrained.uri}/model.keras")
        assert taken == objects.get_bytes(f"{ran.address('train', 'model')}/model.keras")
        assert pretrained.facts["pretrained"] == REGISTERED
        assert "best_epoch" not in pretrained.facts

    def test_it_is_scored_as_the_one_that_was_trained(self, ran, pretrained, tracking, tmp_path):
        inputs = {name: ran.address(task, name) for task, name in (("ingest", "cube"), ("mask", "land"))}
        parts, output = ran.address("split", "parts"), str(tmp_path / "evaluation")
        scored = evaluate.run(Evaluate(), tracking, **inputs, parts=parts, model=pretrained.uri, output=output)
        for part in ("test", "held_out_gaps"):
            wanted = ran.first.summary["scores"][part]
            assert {key: scored.facts["scores"][part][key] for key in wanted} == pytest.approx(wanted, rel=1e-12)
        assert objects.get_bytes(scored.facts["report"])

    def test_it_fills_to_the_same_bits(self, ran, pretrained, tracking, filled, tmp_path):
        output = str(tmp_path / "filled.zarr")
        inputs = {"cube": ran.address("ingest", "cube"), "land": ran.address("mask", "land")}
        predict.run(Predict(), tracking, **inputs, model=pretrained.uri, output=output)
        for name, values in arrays(output).items():
            assert values.tobytes() == filled[name].tobytes(), name

    def test_a_name_that_is_not_registered_is_refused_with_what_there_is(self, ran, tracking, tmp_path, capsys):
        config = made.write_config(
            tmp_path / "c.yaml", "unused",
            train={"pretrained": f"models:/{MODEL}@nobody"}, tracking={"uri": tracking.uri, "experiment": "registered"},
        )  # fmt: skip
        made_by = {"samples": "preprocess", "cube": "ingest", "land": "mask", "parts": "split"}
        inputs = [part for name, step in made_by.items() for part in (f"--{name}", ran.address(step, name))]
        arguments = [*inputs, "--output", str(tmp_path / "model")]
        assert cli.main(["train", "--config", str(config), *arguments]) == 1
        said = capsys.readouterr().err
        assert f"'{MODEL}' has the aliases: {ALIAS}; the versions: 2, 1" in said
        assert not (tmp_path / "model").exists()
