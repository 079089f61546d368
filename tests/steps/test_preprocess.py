"""Samples: every usable cell once, in one random order, with statistics of the train part alone."""

from __future__ import annotations

import functools
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from lstfill import compute
from lstfill import preprocess as samples_of
from lstfill.config import Cluster, Preprocess
from lstfill.cube import chunk_windows
from lstfill.errors import DataError, StoreError
from lstfill.steps import preprocess, sampling
from lstfill.steps.reader import Reader
from lstfill.storage import objects, stores
from tests.steps.chain import CHUNKS, FEATURE, SHAPE, TARGET, TRUTH, differing, land, parts_of, source_of, write_source

PARTS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def data(prepared, tmp_path_factory):
    """A chain with cube, mask and split, that writes samples of its own."""
    chain = prepared.but(root=tmp_path_factory.mktemp("samples"))
    chain.ingested()
    chain.masked()
    chain.parted()
    return chain


def facts_of(chain):
    return stores.provenance(chain.at("samples"))["facts"]


def usable(chain, *, features=True):
    cube = chain.values("cube")
    seen = np.isfinite(cube[TARGET]) & land() & ~chain.array("parts", "held_out")
    return seen & np.isfinite(cube[FEATURE]) if features else seen


def test_every_usable_cell_of_a_part_is_a_sample_once(prepared):
    samples, cube, part = prepared.values("samples"), prepared.values("cube"), parts_of(prepared)
    for number, name in enumerate(PARTS):
        cells = samples[f"{name}_cell"]
        np.testing.assert_array_equal(np.sort(cells), np.flatnonzero(usable(prepared) & (part == number)))
        np.testing.assert_array_equal(samples[f"{name}_y"], cube[TARGET].ravel()[cells])
        np.testing.assert_array_equal(samples[f"{name}_x"][:, 0], cube[FEATURE].ravel()[cells])
        assert facts_of(prepared)["samples"][name] == cells.size


def test_the_order_is_random_and_not_that_of_the_map(prepared):
    cells = prepared.array("samples", "train_cell")
    assert abs(np.corrcoef(cells, np.arange(cells.size))[0, 1]) < 0.1


def test_the_seed_draws_the_order_and_nothing_else(data):
    data.sampled()
    before = data.values("samples")
    data.but(preprocess=Preprocess(seed=1)).sampled()
    after = data.values("samples")
    assert not np.array_equal(before["train_cell"], after["train_cell"])
    np.testing.assert_array_equal(np.sort(before["train_cell"]), np.sort(after["train_cell"]))


def test_statistics_and_scaling_are_those_of_the_train_part(prepared):
    train, facts = usable(prepared) & (parts_of(prepared) == 0), facts_of(prepared)
    for name in (TARGET, FEATURE):
        values = prepared.array("cube", name)[train].astype(np.float64)
        found = facts["statistics"]["variables"][name]
        assert (found["n"], found["min"], found["max"]) == (values.size, values.min(), values.max())
        assert facts["scaling"][name]["offset"] == pytest.approx(values.mean(), rel=1e-9)
        assert facts["scaling"][name]["scale"] == pytest.approx(values.std(), rel=1e-9)
        everything = prepared.array("cube", name)[usable(prepared)].astype(np.float64)
        assert facts["scaling"][name]["offset"] != pytest.approx(everything.mean(), rel=1e-9)


def test_the_other_scalings(data):
    data.but(preprocess=Preprocess(scaling="normalize")).sampled()
    found = facts_of(data)["statistics"]["variables"][FEATURE]
    scale = found["max"] - found["min"]
    assert facts_of(data)["scaling"][FEATURE] == {"offset": found["min"], "scale": scale}
    data.but(preprocess=Preprocess(scaling="none")).sampled()
    assert facts_of(data)["scaling"][TARGET] == {"offset": 0, "scale": 1}


def test_no_tail_is_lost_whatever_the_size_of_a_shard(data, prepared, monkeypatch):
    monkeypatch.setattr(samples_of, "SHARD_SAMPLES", 100)
    data.sampled()
    mine, theirs = data.values("samples"), prepared.values("samples")
    for name in mine:
        np.testing.assert_array_equal(mine[name], theirs[name])
    assert mine["train_y"].size % 100


def test_max_samples_is_kept_exactly_in_every_part_and_spread(data):
    data.but(preprocess=Preprocess(max_samples=300)).sampled()
    samples, part = data.values("samples"), parts_of(data)
    for number, name in enumerate(PARTS):
        assert samples[f"{name}_cell"].size == min(300, np.count_nonzero(usable(data) & (part == number)))
        assert np.isin(samples[f"{name}_cell"], np.flatnonzero(usable(data) & (part == number))).all()
    time, lat, _ = np.unravel_index(samples["train_cell"], SHAPE)
    assert set(time) == set(range(SHAPE[0]))
    assert len(set(lat // 6)) == 6


@pytest.fixture(scope="module")
def holey(prepared, cube, tmp_path_factory):
    """The same with a feature that is missing here and there."""
    root = tmp_path_factory.mktemp("holey")
    missing = np.random.default_rng(0).random(SHAPE) < 0.2
    uri = write_source(cube.assign({FEATURE: cube[FEATURE].where(~missing)}), root / "source.zarr")
    chain = prepared.but(root=root, source=source_of(uri))
    chain.ingested()
    chain.masked()
    chain.parted()
    return chain


def test_cells_with_a_missing_feature_are_dropped(holey):
    holey.sampled()
    train = np.flatnonzero(usable(holey) & (parts_of(holey) == 0))
    np.testing.assert_array_equal(np.sort(holey.array("samples", "train_cell")), train)
    assert facts_of(holey)["impute"] == {}


@pytest.mark.parametrize("constant", [None, 250.0])
def test_features_are_imputed_and_the_target_never(holey, constant):
    section = {"missing": "mean"} if constant is None else {"missing": "constant", "constant": constant}
    holey.but(preprocess=Preprocess(**section)).sampled()
    samples, facts = holey.values("samples"), facts_of(holey)
    train = usable(holey, features=False) & (parts_of(holey) == 0)
    np.testing.assert_array_equal(np.sort(samples["train_cell"]), np.flatnonzero(train))
    assert np.isfinite(samples["train_y"]).all()
    # The mean is of what was there, and the holes stay holes until they are read for the fit.
    seen = holey.array("cube", FEATURE)[train].astype(np.float64)
    assert np.isnan(samples["train_x"]).sum() == np.isnan(seen).sum() > 0
    assert facts["impute"][FEATURE] == pytest.approx(np.nanmean(seen) if constant is None else constant)
    assert TARGET not in facts["impute"]


def test_latitudes_and_lineage_come_along(prepared, cube):
    np.testing.assert_array_equal(prepared.array("samples", "lat"), cube["lat"].values)
    facts = facts_of(prepared)
    assert facts["units"] == {TARGET: "K", FEATURE: "K"}
    assert facts["lineage"]["mask_digest"] == stores.provenance(prepared.at("land"))["facts"]["digest"]
    assert facts["lineage"]["split"]["report"] == stores.provenance(prepared.at("parts"))["facts"]["report"]


def test_a_variable_that_does_not_vary_is_named_and_nothing_is_whole(chain):
    flat = chain.but(source=chain.source.model_copy(update={"features": ["flat"], "uri": _flat(chain)}))
    flat.ingested()
    flat.masked()
    flat.parted()
    with pytest.raises(DataError, match=r"'flat' is 1 in all \d+ samples: scaling 'standardize' would divide by"):
        flat.sampled()
    with pytest.raises(StoreError, match="not whole"):
        flat.trained()


def _flat(chain):
    with xr.open_zarr(chain.source.uri) as ds:
        cube = ds.load()
    cube["flat"] = (cube[TRUTH] * 0 + 1).astype("float32").drop_attrs().assign_attrs(units="1")
    return write_source(cube, chain.root.parent / "flat.zarr")


def test_gaps_of_unused_variables_drop_nothing(chain, cube, prepared, tmp_path):
    nothing = cube[TARGET].copy(data=np.full(SHAPE, np.nan, "float32"))
    uri = write_source(cube.assign(burnt_area=nothing), tmp_path / "source.zarr")
    more = chain.but(source=source_of(uri, extras=[*prepared.source.extras, "burnt_area"]))
    more.prepared()
    assert differing(more.values("samples"), prepared.values("samples")) == []


def test_a_second_run_of_each_step_appends_nothing(chain, prepared):
    for _ in range(2):
        chain.prepared()
    for store in ("cube", "land", "parts", "samples"):
        assert differing(chain.values(store), prepared.values(store)) == [], store


def test_samples_and_statistics_take_one_pass(prepared, tmp_path, monkeypatch):
    real, read = stores.read, []

    def counted(uri, window, names, **options):
        assert options["identity"], "a store is opened once a process, not once a chunk"
        read.extend((name, window) for name in names)
        return real(uri, window, names, **options)

    monkeypatch.setattr(stores, "read", counted)
    there = prepared.but(root=tmp_path)
    preprocess.run(there.preprocess, **prepared.inputs("cube", "land", "parts"), output=there.at("samples"))
    chunks = np.prod([-(-size // step) for size, step in zip(SHAPE, CHUNKS, strict=True)])
    for name in (TARGET, FEATURE):
        assert len([window for variable, window in read if variable == name]) == chunks
    assert len(set(read)) == len(read)


@pytest.mark.parametrize("kind", ["threads", "local"])
def test_what_waits_between_the_passes_is_gone_afterwards(prepared, tmp_path, monkeypatch, kind):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    there = prepared.but(root=tmp_path / "here")
    with sampling.waiting_place(there.at("samples"), Cluster(kind=kind)) as place:
        assert Path(place).is_relative_to(tmp_path / "scratch")
    assert not Path(place).exists()
    preprocess.run(there.preprocess, **prepared.inputs("cube", "land", "parts"), output=there.at("samples"))
    assert [path.name for path in there.root.iterdir()] == ["samples.zarr"]


def test_memory_holds_a_few_chunks_and_not_the_samples(prepared, tmp_path, monkeypatch):
    """Between the passes samples wait as files, each of a few chunks."""
    put, pieces = objects.put_bytes, []

    def watched(uri, data):
        pieces.append(len(data) if uri.endswith(".bin") else 0)
        put(uri, data)

    monkeypatch.setattr(sampling, "_PIECE_CELLS", int(np.prod(CHUNKS)))
    monkeypatch.setattr(objects, "put_bytes", watched)
    there = prepared.but(root=tmp_path)
    preprocess.run(there.preprocess, **prepared.inputs("cube", "land", "parts"), output=there.at("samples"))
    each = samples_of.record(1).itemsize
    assert sum(pieces) == each * sum(facts_of(there)["samples"].values())
    assert 0 < max(pieces) <= each * np.prod(CHUNKS)
    assert differing(there.values("samples"), prepared.values("samples")) == []


def test_workers_elsewhere_find_the_pieces_beside_the_output(prepared, tmp_path, monkeypatch):
    """They have the workspace in common with the step, and no disk."""
    threads, put, written = compute.cluster, objects.put_bytes, []

    def watched(uri, data):
        written.append(Path(uri).parent)
        put(uri, data)

    monkeypatch.setattr(compute, "cluster", lambda _: threads(Cluster()))
    monkeypatch.setattr(objects, "put_bytes", watched)
    there = prepared.but(root=tmp_path)
    elsewhere = Cluster(kind="scheduler", address="tcp://127.0.0.1:1")
    inputs = prepared.inputs("cube", "land", "parts")
    preprocess.run(there.preprocess, **inputs, output=there.at("samples"), cluster=elsewhere)
    assert set(written) == {tmp_path / "samples.zarr.pieces"}
    assert [path.name for path in tmp_path.iterdir()] == ["samples.zarr"]
    assert differing(there.values("samples"), prepared.values("samples")) == []


def test_a_task_is_small_however_large_the_cube(prepared):
    reader = Reader.open(*(prepared.at(name) for name in ("cube", "land", "parts")))
    job = sampling.Sampling(reader, "place", "drop", 0, {})
    assert len(pickle.dumps(functools.partial(job.write, "output", 1, "run"))) < 2000
    counts = np.full((500, 3, samples_of.RANGES), 50, np.uint32)  # of 150 million samples
    sizes = [len(pickle.dumps(item)) for item in sampling.pieces_of_shards(counts, samples_of.SHARD_SAMPLES)]
    assert len(sizes) == 3 * -(-500 * 50 * samples_of.RANGES // samples_of.SHARD_SAMPLES)
    assert max(sizes) < 10_000


def test_chunks_without_land_are_not_asked_for(prepared, monkeypatch):
    reader, one = Reader.open(*(prepared.at(name) for name in ("cube", "land", "parts"))), np.zeros(SHAPE[1:], bool)
    one[-1, 0] = True
    monkeypatch.setattr(Reader, "land_in", lambda _, window: one[window.slices[1:]])
    windows = [window for group in sampling.groups(reader) for window in group]
    expected = [w for w in chunk_windows(SHAPE, reader.grid.chunks) if w.stop[1] == SHAPE[1] and w.start[2] == 0]
    assert windows == expected
    one[:] = False
    assert list(sampling.groups(reader)) == []


def test_one_imputed_value_whatever_the_chunks(chain, cube, tmp_path):
    # The south lacks more than the north: means of single chunks would differ.
    missing = np.random.default_rng(0).random(SHAPE) < np.linspace(0, 0.8, SHAPE[1])[None, :, None]
    uri = write_source(cube.assign({FEATURE: cube[FEATURE].where(~missing)}), tmp_path / "source.zarr")
    found = []
    for chunks in ((0, 0, 0), (12, 6, 72)):
        holey = chain.but(source=source_of(uri, chunks=chunks), preprocess=Preprocess(missing="mean"))
        found.append(holey.prepared()["preprocess"].facts["impute"])
    x = holey.array("samples", "train_x").astype(np.float64)
    assert found[0] == found[1] == {FEATURE: pytest.approx(np.nanmean(x), rel=1e-9)}
