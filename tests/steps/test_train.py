"""Train: a model directory that is whole, recorded and registered; or one that is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lstfill import compute
from lstfill.config import Cluster, Train
from lstfill.cube.geometry import latitude_band, season
from lstfill.errors import DataError, LstfillError, StoreError, TrackingError
from lstfill.model import History, load
from lstfill.model.linear import build, fold
from lstfill.steps import train
from lstfill.steps.provenance import SEAL, origin_of, seal
from lstfill.steps.reader import Reader
from lstfill.steps.shards import StoredShards
from lstfill.storage import objects
from lstfill.train import BatchStream
from tests.steps.chain import AROUND, FEATURE, SHAPE, TARGET, source_of


def client(tracking):
    from mlflow import MlflowClient

    return MlflowClient(tracking.uri)


def run_of(fitted):
    facts = origin_of(fitted.at("model"))["facts"]
    return client(fitted.tracking).get_run(facts["run_id"])


def small(prepared, root, **section):
    """The same samples, a model of its own."""
    inputs = prepared.inputs("samples", "cube", "land", "parts")
    return train.run(Train(**{"epochs": 1, **section}), prepared.tracking, **inputs, output=f"{root}/model")


def test_the_directory_holds_all_that_belongs_to_a_model(fitted):
    names = {path.name for path in Path(fitted.at("model")).iterdir()}
    assert names == {"model.keras", "model.json", "history.json", "loss.png", "tensorboard", SEAL}
    assert list(Path(fitted.at("model"), "tensorboard").rglob("*tfevents*"))


def test_the_fit_finds_the_law_of_the_synthetic_planet(fitted):
    parameters = load(Path(fitted.at("model"))).card.parameters
    assert parameters["slope"][FEATURE] == pytest.approx(1.12, abs=0.03)
    assert parameters["slope"][FEATURE] * 280 + parameters["intercept"] == pytest.approx(1.12 * 280 - 30, abs=0.5)


def test_ranges_scaling_and_provenance_are_those_of_the_samples(fitted):
    card, facts = load(Path(fitted.at("model"))).card, origin_of(fitted.at("samples"))["facts"]
    x = fitted.array("samples", "train_x")
    assert card.ranges[FEATURE] == (x.min(), x.max())
    assert card.scaling.to_dict() == facts["scaling"]
    assert card.provenance["lineage"] == origin_of(fitted.at("samples"))["lineage"]


def test_calibrated_intervals_hold_the_residuals_of_the_validation_part(fitted):
    calibration = load(Path(fitted.at("model"))).card.calibration
    samples, parameters = fitted.values("samples"), load(Path(fitted.at("model"))).card.parameters
    predicted = parameters["slope"][FEATURE] * samples["validation_x"][:, 0] + parameters["intercept"]
    residual = predicted - samples["validation_y"]
    assert calibration.source == "values of the validation part"
    assert calibration.residuals == residual.size
    step, row, _ = np.unravel_index(samples["validation_cell"], SHAPE)
    classes = {
        "latitude": latitude_band(fitted.array("cube", "lat"))[row],
        "season": season(fitted.array("cube", "time"), [0.0])[step, 0],
    }
    half = calibration.scale(None, classes) * np.asarray(calibration.quantiles)[classes["season"], 3]
    assert (np.abs(residual) <= half).mean() == pytest.approx(0.9, abs=0.02)


def test_history_has_an_entry_an_epoch_and_every_sample_is_seen_once_an_epoch(fitted):
    history = History.from_dict(json.loads(Path(fitted.at("model"), "history.json").read_text()))
    samples = fitted.array("samples", "train_y").size
    assert len(history.loss) == len(history.val_loss) == fitted.train.epochs
    assert history.samples_seen == samples * fitted.train.epochs
    assert history.steps == -(-samples // history.batch_size)


def test_the_stored_samples_make_whole_epochs_in_any_shards(fitted, monkeypatch):
    from lstfill.steps import shards

    monkeypatch.setattr(shards, "SHARD_SAMPLES", 700)
    y = fitted.array("samples", "train_y")
    stream = BatchStream(StoredShards(fitted.at("samples"), "train", y.size), 64, seed=1)
    for epoch in (0, 1):
        batches = [values for _, values in stream.epoch(epoch)]
        np.testing.assert_array_equal(np.sort(np.concatenate(batches)), np.sort(y))
        assert {len(batch) for batch in batches[:-1]} == {64}


def test_best_epoch_is_the_one_of_the_lowest_validation_loss(fitted):
    facts = origin_of(fitted.at("model"))["facts"]
    history = json.loads(Path(fitted.at("model"), "history.json").read_text())
    assert facts["best_val_loss"] == min(history["val_loss"]) == history["val_loss"][facts["best_epoch"] - 1]


def test_the_run_records_configuration_metrics_and_lineage(fitted):
    run, cube = run_of(fitted), origin_of(fitted.at("cube"))
    assert run.info.status == "FINISHED"
    assert run.data.params["split.block.lat"] == "6"
    assert run.data.params["train.learning_rate"] == "0.2"
    assert run.data.params["source.target"] == TARGET
    history = client(fitted.tracking).get_metric_history(run.info.run_id, "train/val_loss")
    assert [entry.step for entry in history] == [1, 2, 3, 4]
    assert cube["identity"] in set(run.data.tags.values())
    assert origin_of(fitted.at("land"))["facts"]["digest"] in set(run.data.tags.values())
    assert run.inputs.dataset_inputs


def test_the_run_holds_loss_curve_tensorboard_and_split(fitted):
    names = {item.path for item in client(fitted.tracking).list_artifacts(run_of(fitted).info.run_id)}
    assert {"config.json", "figures", "split.json", "tensorboard"} <= names


def test_a_registered_version_waits_for_its_alias_and_is_taken_without_training(prepared, tmp_path):
    pointer = small(prepared, tmp_path / "first", register_as="steps-line", alias="champion")
    assert pointer.facts["version"] == "models:/steps-line/1"
    found = client(prepared.tracking).get_model_version("steps-line", "1")
    assert (found.run_id, found.aliases) == (pointer.facts["run_id"], [])
    for name, address in {"registered": "models:/steps-line/1", "directory": pointer.uri}.items():
        taken = train.run(
            Train(pretrained=address),
            prepared.tracking,
            **prepared.inputs("samples", "cube", "land", "parts"),
            output=str(tmp_path / name),
        )
        assert taken.facts["pretrained"] == address
        mine, theirs = (load(Path(one.uri)).card for one in (pointer, taken))
        assert mine.to_dict() == theirs.to_dict()
        assert train.history_of(taken.uri) is None
    assert train.history_of(pointer.uri)["best_epoch"] == 1


def test_what_is_compared_is_logged_but_not_registered(prepared, tmp_path):
    pointer = small(prepared, tmp_path, compare=["harmonic"], register_as="steps-alone")
    versions = client(prepared.tracking).search_model_versions("name='steps-alone'")
    assert [(str(of.version), of.run_id) for of in versions] == [("1", pointer.facts["run_id"])]
    children = client(prepared.tracking).search_runs(
        [run.info.experiment_id for run in [client(prepared.tracking).get_run(pointer.facts["run_id"])]],
        f"tags.`mlflow.parentRunId` = '{pointer.facts['run_id']}'",
    )
    outputs = {run.data.tags["model"]: len(run.outputs.model_outputs) for run in children}
    assert outputs == {"linear": 0, "harmonic": 1}
    assert {path.name for path in Path(pointer.uri, "compared").iterdir()} == {"harmonic"}


def test_a_pretrained_model_for_other_variables_is_refused(fitted, chain):
    other = chain.but(
        source=source_of(chain.source.uri, features=["truth"]), train=Train(pretrained=fitted.at("model"))
    )
    other.prepared()
    message = rf"made for {TARGET} from {FEATURE}, the cube has {TARGET} from truth: name the variables alike, or train"
    with pytest.raises(DataError, match=message):
        other.trained()


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("models:/no-such-model@champion", TrackingError, "no model is registered as 'no-such-model'"),
        ("{root}/nowhere", StoreError, "nowhere"),
    ],
)
def test_a_pretrained_model_that_is_not_there(prepared, tmp_path, address, error, message):
    with pytest.raises(error, match=message):
        small(prepared, tmp_path, pretrained=address.format(root=tmp_path))
    with pytest.raises(StoreError):
        origin_of(f"{tmp_path}/model")


def test_addresses_that_are_mixed_up_or_not_there(prepared, tmp_path):
    run = {"output": f"{tmp_path}/model", "train": Train(), "tracking": prepared.tracking}
    run |= prepared.inputs("cube", "land", "parts")
    with pytest.raises(StoreError, match=r"parts\.zarr was written by step split, not preprocess: .* of the samples"):
        train.run(**run, samples=prepared.at("parts"))
    with pytest.raises(StoreError, match=r"no store at .*none\.zarr: it may have been deleted"):
        train.run(**run, samples=f"{tmp_path}/none.zarr")


def test_a_fit_that_diverges_says_what_to_do_and_leaves_no_model(prepared, tmp_path):
    with pytest.raises(LstfillError, match=r"the fit diverged: .*lower train\.learning_rate"):
        small(prepared, tmp_path, learning_rate=1e30)
    with pytest.raises(StoreError):
        origin_of(f"{tmp_path}/model")
    status = client(prepared.tracking).search_runs(
        [client(prepared.tracking).get_experiment_by_name("lstfill").experiment_id], max_results=1
    )
    assert status[0].info.status == "FAILED"


def test_a_killed_step_leaves_a_model_that_later_steps_refuse(prepared, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    # What an earlier run has sealed.
    objects.put_json(f"{tmp_path}/model/model.json", {})
    seal(f"{tmp_path}/model", origin_of(prepared.at("samples")))
    with monkeypatch.context() as patch:
        patch.setattr(train, "seal", killed)
        with pytest.raises(KeyboardInterrupt):
            small(prepared, tmp_path, seed=1)
    broken = prepared.but(root=tmp_path)
    with pytest.raises(StoreError, match=r"model is not whole: the step that wrote it did not finish"):
        broken.filled(**prepared.inputs("cube", "land"))
    small(prepared, tmp_path)
    assert origin_of(f"{tmp_path}/model")["step"] == "train"


def cards(model):
    """All that is known of the models of a directory, by name, but for where the data came from."""
    found = {place.name: load(place).card for place in (Path(model), *Path(model, "compared").iterdir())}
    return {card.model: {**card.to_dict(), "provenance": None} for card in found.values()}


def test_each_model_is_fitted_calibrated_and_written(around):
    found = cards(around.uri)
    assert set(found) == {"harmonic", "linear", "boosting"}
    assert load(Path(around.uri)).name == "harmonic"
    sources = {name: card["calibration"]["source"] for name, card in found.items()}
    assert sources == {
        "linear": "values of the validation part",
        "harmonic": "artificial gaps in the train and validation parts",
        "boosting": "artificial gaps in the train and validation parts",
    }
    assert found["boosting"]["tiles"] == {"side": 24, "overlap": 6}
    assert found["linear"]["tiles"] is None


def test_a_model_without_epochs_has_no_history_beside_one_that_has(around):
    assert train.history_of(around.uri) is None
    assert "best_epoch" not in around.facts
    assert not Path(around.uri, "history.json").exists()
    assert len(json.loads(Path(around.uri, "compared", "linear", "history.json").read_text())["loss"]) == 1


def test_models_stand_side_by_side_in_the_table_of_runs(around, tracking):
    parent = client(tracking).get_run(around.facts["run_id"])
    wanted = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    runs = client(tracking).search_runs([parent.info.experiment_id], wanted)
    assert {run.data.tags["model"] for run in runs} == {"harmonic", "linear", "boosting"}
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in [*runs, parent]:
        assert run.data.metrics["seconds/fit"] >= 0
        assert run.data.metrics["seconds/calibration"] > 0
    assert {run.data.tags["model"] for run in runs if "best_val_loss" in run.data.metrics} == {"linear"}


def test_a_pretrained_model_brings_those_it_is_compared_with(around, prepared, tmp_path):
    taken = small(prepared, tmp_path, pretrained=around.uri)
    assert cards(taken.uri) == cards(around.uri)


def test_models_compared_by_an_earlier_run_go(prepared, tmp_path):
    for compared in (["linear"], []):
        options = AROUND.model_copy(update={"compare": compared})
        inputs = prepared.inputs("samples", "cube", "land", "parts")
        found = train.run(options, prepared.tracking, **inputs, output=f"{tmp_path}/model")
        assert sorted(path.name for path in Path(found.uri).glob("compared/*")) == compared


def test_neither_workers_nor_chunks_change_what_is_learned_from_tiles(around, prepared, tmp_path):
    there = prepared.but(
        root=tmp_path,
        source=source_of(prepared.source.uri, chunks=(6, 12, 24)),
        train=AROUND.model_copy(update={"compare": ["boosting"]}),
        cluster=Cluster(kind="local", workers=2),
    )
    there.prepared()
    found, expected = cards(there.trained().uri), cards(around.uri)
    assert found == {name: expected[name] for name in ("harmonic", "boosting")}


def test_a_line_needs_neither_tiles_nor_workers(prepared, tmp_path, monkeypatch):
    def refused(_):
        raise AssertionError("workers were asked for")

    monkeypatch.setattr(compute, "cluster", refused)
    assert small(prepared, tmp_path).facts["best_epoch"] == 1


def test_samples_without_a_part_are_refused(prepared, tmp_path, monkeypatch):
    real = origin_of(prepared.at("samples"))
    empty = {**real, "facts": {**real["facts"], "samples": {"train": 10, "validation": 0, "test": 0}}}
    monkeypatch.setattr(train, "refuse_foreign", lambda *_: empty)
    with pytest.raises(DataError, match=r"the validation part has 0 usable samples \(train 10, validation 0\)"):
        small(prepared, tmp_path)


def test_weights_leave_their_initial_values(fitted):
    origin = origin_of(fitted.at("samples"))
    view = train._view(fitted.at("samples"), origin, Reader.open(fitted.at("cube")))
    card = json.loads(Path(fitted.at("model"), "model.json").read_text())
    untrained = fold(build(view, fitted.train.seed), view)
    assert abs(card["parameters"]["slope"][FEATURE] - untrained["slope"][FEATURE]) > 0.05
    history = json.loads(Path(fitted.at("model"), "history.json").read_text())
    assert len(set(history["loss"])) == len(history["loss"])
    assert history["val_loss"][-1] < history["loss"][0] / 2
