import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstfill import artifacts
from lstfill.artifacts import Pointer, allocate, clean, publish
from lstfill.errors import StoreError


@pytest.mark.parametrize(
    ("artifact", "workspace", "expected"),
    [
        ("/data/out/lst-2026-01-01/ingest/cube", "s3://lst/runs/", "s3://lst/runs/lst-2026-01-01/ingest/cube.zarr"),
        ("minio://mlpipeline/v2/artifacts/p/1-2/ingest/3-4/cube", "s3://lst/w", "s3://lst/w/v2/artifacts/p/1-2/ingest/3-4/cube.zarr"),
        ("s3://mlpipeline/v2/cube", "/data/space", "/data/space/v2/cube.zarr"),
        ("cube", "work", "work/cube.zarr"),
    ],
)  # fmt: skip
def test_places_derive_from_the_artifact(artifact, workspace, expected):
    assert allocate(artifact, workspace, ".zarr") == expected
    assert allocate(artifact, workspace, "") == expected.removesuffix(".zarr")


def test_a_pointer_comes_back_and_stands_in_the_metadata(tmp_path):
    pointer = Pointer("s3://lst/a/cube.zarr", "ingest", "0f3a", {"cells": 12, "mae_k": 2.5, "names": ["a", "b"]})
    path, metadata = tmp_path / "deep/down/cube", {"display_name": "cube"}
    publish(path, metadata, pointer)
    assert artifacts.read(path) == pointer
    assert metadata == {
        "display_name": "cube", "uri": pointer.uri, "step": "ingest", "identity": "0f3a",
        "cells": 12, "mae_k": 2.5, "names": ["a", "b"],
    }  # fmt: skip
    assert [p.name for p in path.parent.iterdir()] == ["cube"]


def test_the_address_comes_first_and_the_file_is_small(tmp_path):
    """Kubeflow's UI shows the first 255 bytes."""
    publish(tmp_path / "p", {}, Pointer("s3://lst/a/cube.zarr", "ingest", "x", {"a": 1}))
    text = (tmp_path / "p").read_text()
    assert text.splitlines()[1] == ' "uri": "s3://lst/a/cube.zarr",'
    assert len(text) < 255


def test_facts_are_cleaned_before_kubeflow_sees_them(tmp_path):
    facts = {
        "none": None, "nan": math.nan, "inf": np.float32("inf"),
        "n": np.int64(3), "x": np.float32(0.5), "b": np.bool_(True),
        "array": np.array([1.0, np.nan]), "deep": {"keep": 1, "drop": None}, 5: "five", "path": tmp_path,
    }  # fmt: skip
    metadata = {}
    publish(tmp_path / "p", metadata, Pointer("u", "s", "i", facts))
    expected = {
        "n": 3,
        "x": 0.5,
        "b": True,
        "array": [1.0, "nan"],
        "deep": {"keep": 1},
        "5": "five",
        "path": str(tmp_path),
    }
    assert artifacts.read(tmp_path / "p").facts == expected
    assert metadata == expected | {"uri": "u", "step": "s", "identity": "i"}
    assert {name: type(value) for name, value in metadata.items() if name in "nxb"} == {"n": int, "x": float, "b": bool}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40)
@given(st.dictionaries(st.text(), values, max_size=3))
def test_what_is_clean_is_strict_json_and_stays_clean(mapping):
    cleaned = clean(mapping)
    assert json.loads(json.dumps(cleaned, allow_nan=False)) == cleaned
    assert not _holds_none(cleaned)
    assert clean(cleaned) == cleaned


def _holds_none(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value is None or any(_holds_none(item) for item in inner)


def test_facts_cannot_hide_the_address(tmp_path):
    metadata = {}
    publish(tmp_path / "p", metadata, Pointer("right", "s", "i", {"uri": "wrong"}))
    assert metadata["uri"] == artifacts.read(tmp_path / "p").uri == "right"


@pytest.mark.parametrize("content", ["", "{}", "[1]", "no json", '{"uri": "x"}', "\ufffd"])
def test_foreign_files_are_refused(tmp_path, content):
    (tmp_path / "p").write_text(content)
    with pytest.raises(StoreError, match="is not a pointer of lstfill: give the artifact that a step"):
        artifacts.read(tmp_path / "p")


def test_bytes_are_refused(tmp_path):
    (tmp_path / "p").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StoreError, match="is not a pointer"):
        artifacts.read(tmp_path / "p")


def test_a_missing_pointer_and_a_directory(tmp_path):
    with pytest.raises(StoreError, match=r"there is no pointer at .*: the step before did not finish; run it again"):
        artifacts.read(tmp_path / "p")
    with pytest.raises(StoreError, match="cannot read the pointer"):
        artifacts.read(tmp_path)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write the pointer .*; choose another place"):
        publish(tmp_path / "file" / "p", {}, Pointer("u", "s", "i"))
