"""A copy asks for each chunk of its source once, whatever the box, and gives the same cube."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest
import xarray as xr
from zarr.storage import LocalStore

from lstfill.config import Cluster
from lstfill.cube import chunk_windows, select
from lstfill.steps import copying, ingest
from lstfill.storage import objects, sessions
from tests.steps.chain import FEATURE, LAND, SHAPE, TARGET, source_of, write_source

STORED = (12, 10, 12)
WAYS = {
    "on the grid": (STORED, {}),
    "off the grid": (STORED, {"bbox_deg": (-120, -61, 118, 57)}),
    "off the grid of time": ((5, 10, 12), {"time": ("2002-06-01", "2002-07-31"), "bbox_deg": (-180, -61, 180, 57)}),
    "some dates of a long chunk": (STORED, {"time": ("2002-06-01", "2002-07-10")}),
    "small work chunks": (STORED, {"chunks": (4, 6, 6)}),
    "small work chunks off the grid": (STORED, {"chunks": (5, 7, 9), "bbox_deg": (-120, -61, 118, 57)}),
    "large work chunks": ((3, 10, 12), {"chunks": (12, 36, 36)}),
    "over the date line": (STORED, {"bbox_deg": (140, -61, -130, 57)}),
    "over the date line and nearly around": (STORED, {"bbox_deg": (20, -61, 10, 57)}),
}


@pytest.fixture(params=WAYS, ids=lambda way: way.replace(" ", "-"))
def asked(request, cube, tmp_path):
    """A stored source and what is asked of it."""
    stored, options = WAYS[request.param]
    return source_of(write_source(cube, tmp_path / "source.zarr", stored), **options)


@pytest.fixture
def fetched(monkeypatch):
    """Chunks of sources that are read, with how often."""
    counted, get = Counter(), LocalStore.get

    async def counting(store, key, *args, **options):
        name, _, chunk = key.rpartition("/")
        if store.root.name == "source.zarr" and chunk[0].isdigit():
            counted[name, chunk] += 1
        return await get(store, key, *args, **options)

    monkeypatch.setattr(LocalStore, "get", counting)
    return counted


def test_each_chunk_of_the_source_is_read_once(asked, fetched, tmp_path, cube):
    pointer = ingest.run(asked, output=f"{tmp_path}/cube.zarr")
    read = {key: times for key, times in fetched.items() if key[0] in (TARGET, FEATURE)}
    assert set(read.values()) == {1}
    work = xr.open_zarr(pointer.uri)
    naive = select(cube, asked)
    np.testing.assert_array_equal(work[FEATURE].values, naive[FEATURE].values)
    np.testing.assert_array_equal(work[TARGET].values, naive[TARGET].where(naive[TARGET] <= 345).values)
    np.testing.assert_array_equal(work[LAND].values, naive[LAND].values)
    assert pointer.facts["out_of_range"] == int((naive[TARGET].values > 345).sum())


def test_where_little_may_be_held_chunks_are_read_again_and_the_cube_is_the_same(asked, fetched, tmp_path, monkeypatch):
    whole = ingest.run(asked, output=f"{tmp_path}/cube.zarr")
    once = sum(fetched.values())
    monkeypatch.setattr(copying, "HELD_BYTES", 1)
    monkeypatch.setattr(copying, "TASK_WINDOWS", 1)
    again = ingest.run(asked, output=f"{tmp_path}/again.zarr", cluster=Cluster(workers=3))
    assert again.identity == whole.identity
    assert sum(fetched.values()) >= 2 * once
    xr.testing.assert_identical(
        xr.open_zarr(again.uri).load().drop_attrs(), xr.open_zarr(whole.uri).load().drop_attrs()
    )


@pytest.mark.parametrize("heights", [1, 3])
def test_of_a_further_dimension_only_the_chunks_that_are_taken_are_read(heights, fetched, tmp_path, cube):
    """A target at three heights, in chunks of one height or of all three."""
    deep = cube.assign({TARGET: stacked(cube[TARGET])}).assign_coords(height=[2.0, 10.0, 50.0])
    deep.drop_encoding().to_zarr(
        tmp_path / "source.zarr", zarr_format=2, encoding={TARGET: {"chunks": (12, heights, 10, 12)}}
    )
    asked = source_of(tmp_path / "source.zarr", select={"height": 10}, chunks=(4, 6, 6))
    pointer = ingest.run(asked, output=f"{tmp_path}/cube.zarr")
    read = {chunk: times for (name, chunk), times in fetched.items() if name == TARGET}
    middle = "1" if heights == 1 else "0"
    assert set(read) == {f"0.{middle}.{row}.{column}" for row in range(4) for column in range(6)}
    assert set(read.values()) == {1}
    expected = cube[TARGET].where(cube[TARGET] <= 345).to_numpy()
    np.testing.assert_array_equal(xr.open_zarr(pointer.uri)[TARGET], expected)


def test_a_chunk_counts_what_is_decoded_with_it(tmp_path, cube):
    deep = cube.assign({TARGET: stacked(cube[TARGET])})
    deep.drop_encoding().to_zarr(
        tmp_path / "source.zarr", zarr_format=2, encoding={TARGET: {"chunks": (12, 3, 10, 12)}}
    )
    found = copying.opened(source_of(tmp_path / "source.zarr", select={"height": 1}).model_dump_json(), "run")
    part = found.layouts[TARGET].parts(chunk_windows(SHAPE, SHAPE)[0])[0]
    assert part.chunk_bytes == 3 * 12 * 10 * 12 * 4 == 3 * part.nbytes


def stacked(values):
    """Another cube below and above each value, along a new dimension ``height``."""
    deep = xr.concat([values + 1, values, values - 1], dim="height").transpose("time", "height", "lat", "lon")
    return deep.assign_attrs(values.attrs)


def test_tasks_hold_every_window_once_and_are_small_to_send(cube, tmp_path):
    source = source_of(write_source(cube, tmp_path / "source.zarr", (1, 4, 4)), chunks=(1, 4, 4))
    copy = copying.Copy(source.model_dump_json(), "run", f"{tmp_path}/cube.zarr", (1, 4, 4), TARGET)
    tasks = copy.tasks()
    assert sorted(window.start for task in tasks for window in task) == [
        window.start for window in chunk_windows(SHAPE, (1, 4, 4))
    ]
    assert {len(task) for task in tasks} == {copying.TASK_WINDOWS, 1944 % copying.TASK_WINDOWS or copying.TASK_WINDOWS}
    assert max(len(pickle.dumps((copy, task))) for task in tasks) < 10_000


def test_between_object_stores_few_documents_are_asked_for(s3, cube, tmp_path, monkeypatch):
    """A bound on round trips: each of them waits for a distant store."""
    write_source(cube, tmp_path / "source.zarr", (12, 36, 36))
    objects.put_tree(tmp_path / "source.zarr", s3 + "/source.zarr")
    asked, call = [], sessions.S3Files._call_s3

    async def counting(files, method, *args, **options):
        asked.append((method, str(options.get("Key", ""))))
        return await call(files, method, *args, **options)

    monkeypatch.setattr(sessions.S3Files, "_call_s3", counting)
    ingest.run(source_of(s3 + "/source.zarr", anonymous=False), output=s3 + "/cube.zarr")
    of_source = [key.rpartition("/")[2] for _, key in asked if "source.zarr" in key]
    assert len([name for name in of_source if not name[0].isdigit()]) <= 7
    looks = [method for method, _ in asked if method in ("head_object", "list_objects_v2")]
    assert len(looks) <= 5  # of the wipe, however many variables there are
    described = [key for method, key in asked if method == "get_object" and "cube.zarr" in key]
    assert len(described) <= 3 + 2 * 5  # the root's three documents, and two of each variable
