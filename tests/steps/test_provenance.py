"""Every store says how it was made; what is not whole, foreign or in the way is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lstfill.config import Mask, Source
from lstfill.errors import StoreError
from lstfill.steps import ingest, mask, preprocess, split
from lstfill.steps.provenance import (
    SEAL,
    begin,
    describe,
    origin_of,
    pointer_to,
    refuse_foreign,
    refuse_own_input,
    seal,
)
from lstfill.storage import objects, stores

GLOBE, EVERYWHERE = Mask(), Mask(kind="none")


def described(step="mask", section=EVERYWHERE, content="", **inputs):
    return describe(step, section=section, inputs=inputs, content=content, facts={"cells": 3})


def sealed(place, provenance):
    seal(str(place), provenance)
    return str(place)


def test_a_store_says_step_version_time_configuration_and_facts():
    from importlib.metadata import version

    made = described()
    assert (made["step"], made["version"], made["facts"]) == ("mask", version("lstfill"), {"cells": 3})
    assert made["created"].endswith("+00:00")
    assert made["configuration"] == {"mask": EVERYWHERE.model_dump(mode="json")}
    assert json.loads(json.dumps(made)) == made


def test_configuration_and_lineage_accumulate(fitted):
    cube, land, parts, samples, model = (origin_of(fitted.at(n)) for n in ("cube", "land", "parts", "samples", "model"))
    assert list(cube["configuration"]) == ["source"]
    assert set(model["configuration"]) == {"source", "mask", "split", "preprocess", "train"}
    for section in model["configuration"]:
        assert model["configuration"][section] == getattr(fitted, section).model_dump(mode="json")
    names = {"cube": cube, "land": land, "parts": parts, "samples": samples}
    assert model["lineage"] == {name: origin["identity"] for name, origin in names.items()}
    hashes = {origin["config_hash"] for origin in (cube, land, parts, samples, model)}
    assert len(hashes) == 5


def test_identity_follows_step_configuration_inputs_and_content(tmp_path):
    first, second = (sealed(tmp_path / n, described(content=n)) for n in ("one", "two"))
    made = [
        described(),
        described(step="split"),
        described(section=GLOBE),
        described(content="other"),
        described(cube=first),
        described(cube=second),
        described(land=first),
    ]
    assert len({one["identity"] for one in made}) == len(made)


def test_identity_does_not_follow_places_and_times(tmp_path):
    here, there = (sealed(tmp_path / n, described(content="same")) for n in ("here", "there"))
    assert described(cube=here)["identity"] == described(cube=there)["identity"]


def test_the_same_content_and_configuration_have_the_same_identity_in_every_step(filled, tmp_path):
    again = filled.but(root=tmp_path)
    again.prepared()
    for name in ("cube", "land", "parts", "samples"):
        assert origin_of(again.at(name))["identity"] == origin_of(filled.at(name))["identity"], name
    # The address of the model is not part of what was filled.
    moved = filled.but(root=tmp_path)
    objects.put_tree(Path(filled.at("model")), moved.at("model"))
    moved.filled()
    assert origin_of(moved.at("filled"))["identity"] == origin_of(filled.at("filled"))["identity"]


def test_a_pointer_carries_identity_and_facts():
    made = described()
    pointer = pointer_to("s3://b/k", made, more=1)
    assert (pointer.uri, pointer.step, pointer.identity) == ("s3://b/k", "mask", made["identity"])
    assert pointer.facts == {"cells": 3, "more": 1}


def test_a_sealed_directory_is_whole_and_one_without_seal_is_not(tmp_path):
    place = str(tmp_path / "evaluation")
    begin(place)
    objects.put_json(f"{place}/evaluation.json", {})
    with pytest.raises(
        StoreError, match=r"evaluation is not whole: .* did not finish .*provenance\.json.*Run that step"
    ):
        origin_of(place)
    seal(place, described())
    assert origin_of(place)["step"] == "mask"


def test_beginning_again_breaks_the_seal(tmp_path):
    place = sealed(tmp_path / "evaluation", described())
    begin(place)
    assert not Path(place, SEAL).exists()


def test_nothing_at_all_is_told_from_what_is_not_whole(tmp_path):
    with pytest.raises(StoreError, match=r"there is no store at .*nowhere: it may have been deleted"):
        origin_of(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("kind", ["directory", "file"])
def test_what_others_have_put_there_is_left_alone(tmp_path, kind):
    place = tmp_path / "thesis"
    precious = place / "chapter.tex" if kind == "directory" else place
    precious.parent.mkdir(exist_ok=True)
    precious.write_text("years of work")
    with pytest.raises(StoreError, match="thesis holds something that lstfill did not write: choose another place"):
        begin(str(place))
    assert precious.read_text() == "years of work"


def test_an_empty_directory_is_free(tmp_path):
    begin(str(tmp_path))


def test_a_killed_copy_is_ours_whatever_it_left(tmp_path):
    for name in ("history.json", "loss.png", "model.json"):
        place = tmp_path / name.partition(".")[0]
        place.mkdir()
        (place / name).write_text("{}")
        begin(str(place))


def test_a_store_of_another_step_is_refused_with_what_is_wanted(prepared):
    with pytest.raises(
        StoreError, match=r"land\.zarr was written by step mask, not split: give the address of the split"
    ):
        refuse_foreign(prepared.at("land"), "split", "the split")


@pytest.mark.parametrize(
    ("output", "source"),
    [
        ("cube.zarr", "cube.zarr"),
        ("cube.zarr/", "cube.zarr"),
        ("./runs/../cube.zarr", "cube.zarr"),
        ("runs", "runs/cube.zarr"),
        ("cube.zarr/filled.zarr", "cube.zarr"),
        ("s3://b/run", "s3://b/run/cube.zarr"),
        ("s3://b/cube.zarr", "s3://b/cube.zarr/"),
    ],
)
def test_no_step_writes_where_it_reads(output, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match="which it would wipe or spoil: choose another place for the output"):
        refuse_own_input(output, None, source)


@pytest.mark.parametrize(
    ("output", "source"),
    [
        ("cube.zarr", "cube.zarr.old"),
        ("runs/cube.zarr", "runs/source.zarr"),
        ("s3://b/run2", "s3://b/run"),
        ("models", "models:/line@champion"),
        ("cube.zarr", "https://host/cube.zarr"),
    ],
)
def test_neighbours_are_apart(output, source):
    refuse_own_input(output, source, None)


def test_a_source_survives_an_ingest_onto_itself(source_store):
    before = sorted(path.name for path in Path(source_store).rglob("*"))
    with pytest.raises(StoreError, match=r"source\.zarr is to be written while .*source\.zarr is read"):
        ingest.run(Source(uri=source_store), output=source_store)
    assert sorted(path.name for path in Path(source_store).rglob("*")) == before


def test_no_step_overwrites_its_input(fitted):
    with pytest.raises(StoreError, match="wipe or spoil"):
        mask.run(fitted.mask, cube=fitted.at("cube"), output=fitted.at("cube"))
    with pytest.raises(StoreError, match="wipe or spoil"):
        split.run(fitted.split, **fitted.inputs("cube", "land"), output=fitted.at("land"))
    with pytest.raises(StoreError, match="wipe or spoil"):
        preprocess.run(fitted.preprocess, **fitted.inputs("cube", "land", "parts"), output=fitted.at("parts"))
    for name in ("cube", "land", "parts"):
        assert stores.provenance(fitted.at(name))
