import errno
import logging
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from lstfill.cube.windows import Window, chunk_windows
from lstfill.errors import StoreError
from lstfill.storage import objects, stores
from tests.storage.cubes import CHUNKS, SHAPE, make_cube, write_cube


@pytest.fixture(params=["path", "s3"])
def place(request, tmp_path):
    """Somewhere to write a store, on disk and in the object store."""
    if request.param == "path":
        return f"{tmp_path}/runs/cube.zarr"
    return request.getfixturevalue("s3") + "/cube.zarr"


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_whole_store_gives_back_every_bit(place, zarr_format):
    cube = make_cube()
    write_cube(place, cube, zarr_format)
    found = stores.open_whole(place)
    for name in cube.variables:
        assert found[name].dtype == cube[name].dtype, name
        np.testing.assert_array_equal(found[name].values, cube[name].values)
        assert found[name].dims == cube[name].dims
    assert found["lst"].attrs == cube["lst"].attrs
    assert found["flag"].attrs == {"flag_values": [0, 1, 2, 3], "flag_meanings": "a b c d"}
    assert {"title": "a cube", "history": "made"}.items() <= found.attrs.items()
    assert found["lst"].encoding["preferred_chunks"] == dict(zip(("time", "lat", "lon"), CHUNKS, strict=True))
    assert stores.provenance(place) == {"step": "ingest", "identity": "abc", "n": 3}


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_user_opens_it_in_xarray_without_options_or_warnings(tmp_path, zarr_format):
    cube, uri = make_cube(), str(tmp_path / "cube.zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_cube(uri, cube, zarr_format)
        found = xr.open_zarr(uri).load()
    xr.testing.assert_equal(found, cube)
    assert {name: found[name].dtype for name in cube} == {name: cube[name].dtype for name in cube}
    assert zarr.open_group(uri, mode="r").metadata.zarr_format == zarr_format
    assert all(len(found[name].encoding["preferred_chunks"]) == 1 for name in ("time", "lat", "lon"))
    assert found["time"].encoding["chunks"] == (SHAPE[0],)


def test_windows_not_written_are_missing_and_flags_keep_their_type(tmp_path):
    uri = str(tmp_path / "cube.zarr")
    stores.create(uri, make_cube(), chunks={"lst": CHUNKS, "flag": CHUNKS}, zarr_format=3)
    stores.commit(uri, {})
    found = stores.open_whole(uri)
    assert np.isnan(found["lst"].values).all()
    assert found["flag"].dtype == "uint8"


@pytest.mark.parametrize(
    ("times", "units"),
    [
        (["2002-05-21", "2002-05-29", "2003-01-05"], "days since 1970-01-01"),
        (["1950-01-01T00:00:01", "2019-03-01T13:00:00"], "seconds since 1970-01-01 00:00:00"),
        (["2019-03-01T13:00:00.000000001", "2019-03-01T13:00:00.5"], "nanoseconds since 1970-01-01 00:00:00"),
        (["2002-05-21"], "days since 1970-01-01"),
    ],
)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_time_is_whole_numbers_in_a_cf_unit_and_exact(tmp_path, times, units, zarr_format):
    uri, values = str(tmp_path / "t.zarr"), np.array(times, "datetime64[ns]")
    template = xr.Dataset(coords={"time": ("time", values, {"units": "rubbish", "standard_name": "time"})})
    stores.create(uri, template, chunks={}, zarr_format=zarr_format)
    stores.commit(uri, {})
    raw = xr.open_zarr(uri, decode_times=False)["time"]
    assert raw.dtype == "int64"
    assert raw.attrs == {"units": units, "calendar": "proleptic_gregorian", "standard_name": "time"}
    np.testing.assert_array_equal(stores.open_whole(uri)["time"].values, values)


def test_missing_dates_and_text_coordinates_are_refused(tmp_path):
    for values, text in ((np.array(["NaT"], "datetime64[ns]"), "missing dates"), (np.array(["a"]), "of type <U1")):
        with pytest.raises(StoreError, match=text):
            stores.create(f"{tmp_path}/x.zarr", xr.Dataset(coords={"c": ("c", values)}), chunks={}, zarr_format=3)


def test_coordinates_beside_the_dimensions_stay_coordinates(tmp_path):
    uri = str(tmp_path / "x.zarr")
    template = make_cube().assign_coords(area=(("lat",), np.ones(9)))
    stores.create(uri, template, chunks={}, zarr_format=2)
    stores.commit(uri, {})
    assert "area" in xr.open_zarr(uri).coords


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_what_a_source_leaves_behind_does_no_harm(tmp_path, zarr_format):
    """Encoding of another Zarr format, packing, and the provenance of the store a template was made from."""
    first, second = str(tmp_path / "a.zarr"), str(tmp_path / "b.zarr")
    cube = make_cube()
    encoding = {"lst": {"dtype": "int16", "scale_factor": 0.01, "add_offset": 273.15, "_FillValue": -9999}}
    cube.assign_attrs(lstfill={"step": "other"}).to_zarr(
        first, zarr_format=5 - zarr_format, encoding=encoding, consolidated=False
    )
    template = xr.open_zarr(first, consolidated=False)
    template["lst"].attrs |= {"_FillValue": np.float32(-9999), "scale_factor": 0.01, "x": np.float32("nan"), "y": None}
    write_cube(second, template, zarr_format, whole=False)
    with pytest.raises(StoreError, match="not whole"):
        stores.provenance(second)
    stores.commit(second, {"step": "ingest"})
    found = xr.open_zarr(second)
    np.testing.assert_array_equal(found["lst"].values, template["lst"].values)
    assert found["lst"].attrs["x"] == "nan"
    assert not {"scale_factor", "y"} & set(found["lst"].attrs)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_nothing_is_whole_before_commit(place, zarr_format):
    with pytest.raises(StoreError, match=r"there is no store at .*cube\.zarr: it may have been deleted.*without cach"):
        stores.provenance(place)
    write_cube(place, make_cube(), zarr_format, whole=False)
    window = Window((0, 0, 0), (1, 1, 1))
    for use in (stores.provenance, stores.open_whole, lambda uri: stores.read(uri, window, ["lst"])):
        with pytest.raises(
            StoreError, match=r"cube\.zarr is not whole: the step .* did not finish.*Run that step again"
        ):
            use(place)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_consolidated_but_without_provenance_is_not_whole(tmp_path, zarr_format):
    """Killed between the two halves of a commit."""
    uri = str(tmp_path / "cube.zarr")
    write_cube(uri, make_cube(), zarr_format, whole=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(uri)
    with pytest.raises(StoreError, match="not whole"):
        stores.open_whole(uri)


def test_a_retry_overwrites_the_whole_of_it(place):
    write_cube(place, make_cube(0), 2)
    objects.put_bytes(place + "/stray/0.0.0", b"left over")
    again = make_cube(1).rename(flag="other")
    stores.create(place, again, chunks={"lst": (7, 9, 13)}, zarr_format=3)
    with pytest.raises(StoreError, match="not whole"):
        stores.provenance(place)
    assert not objects.exists(place + "/stray")
    assert not objects.exists(place + "/.zmetadata")
    stores.write(place, Window((0, 0, 0), SHAPE), {"lst": again["lst"].values})
    stores.commit(place, {"step": "again"})
    found = stores.open_whole(place)
    assert set(found.data_vars) == {"lst", "other", "land"}
    np.testing.assert_array_equal(found["lst"].values, again["lst"].values)


def test_a_wipe_that_is_killed_leaves_nothing_whole(s3, monkeypatch):
    """The chunks go last: here the wipe dies as soon as the root documents are gone."""
    uri = s3 + "/cube.zarr"
    write_cube(uri, make_cube())
    remove = objects.remove

    def dying(target):
        if target == uri:
            raise KeyboardInterrupt
        remove(target)

    monkeypatch.setattr(objects, "remove", dying)
    with pytest.raises(KeyboardInterrupt):
        stores.create(uri, make_cube(), chunks={}, zarr_format=3)
    assert objects.exists(uri + "/lst")
    with pytest.raises(StoreError, match="there is no store"):
        stores.open_whole(uri)


def test_a_process_killed_while_writing_leaves_no_whole_store(tmp_path):
    uri = str(tmp_path / "cube.zarr")
    code = (
        "import os, signal; from tests.storage.cubes import *; "
        f"write_cube({uri!r}, make_cube(), whole=False); os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == -9
    with pytest.raises(StoreError, match="not whole"):
        stores.provenance(uri)


def test_a_directory_of_other_files_is_not_wiped(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match="holds files that are no Zarr store: nothing was wiped"):
        stores.create(str(tmp_path), make_cube(), chunks={}, zarr_format=3)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_whole_bucket_is_not_wiped(s3):
    objects.put_bytes(s3 + "/kept", b"x")
    with pytest.raises(StoreError, match="s3://lst is a whole bucket"):
        stores.create("s3://lst", make_cube(), chunks={}, zarr_format=3)
    assert objects.get_bytes(s3 + "/kept") == b"x"


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_threads_write_and_read_different_windows_at_once(place, zarr_format):
    cube = make_cube()
    stores.create(place, cube, chunks={"lst": (1, 3, 4)}, zarr_format=zarr_format)
    windows = chunk_windows(SHAPE, (1, 3, 4))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda w: stores.write(place, w, {"lst": cube["lst"].values[w.slices]}), windows))
        stores.write_static(place, "land", cube["land"].values)
        stores.commit(place, {})
        # Windows of another cut than the chunks
        others = chunk_windows(SHAPE, (3, 5, 5))
        found = list(pool.map(lambda w: stores.read(place, w, ["lst", "land", "lat"]), others))
    for window, arrays in zip(others, found, strict=True):
        np.testing.assert_array_equal(arrays["lst"], cube["lst"].values[window.slices])
        np.testing.assert_array_equal(arrays["land"], cube["land"].values[window.slices[1:]])
        np.testing.assert_array_equal(arrays["lat"], cube["lat"].values[window.slices[1]])


@pytest.mark.parametrize(
    ("start", "shape", "text"),
    [
        ((1, 0, 0), (3, 5, 6), "time 1..4 cuts chunks of 4 of 7"),
        ((0, 0, 0), (4, 4, 6), "lat 0..4 cuts chunks of 5 of 9"),
        ((0, 0, 6), (4, 5, 12), "lon 6..18 cuts chunks of 6 of 13"),
    ],
)
def test_a_window_across_chunks_is_refused(tmp_path, start, shape, text):
    uri = str(tmp_path / "cube.zarr")
    stores.create(uri, make_cube(), chunks={"lst": CHUNKS}, zarr_format=3)
    stop = tuple(a + b for a, b in zip(start, shape, strict=True))
    with pytest.raises(StoreError, match=text):
        stores.write(uri, Window(start, stop), {"lst": np.zeros(shape, "float32")})


def test_values_that_do_not_fit_are_refused(tmp_path):
    uri = str(tmp_path / "cube.zarr")
    stores.create(uri, make_cube(), chunks={"lst": CHUNKS}, zarr_format=3)
    window = Window((0, 0, 0), SHAPE)
    with pytest.raises(StoreError, match="is of type float32, the values are of type float64: convert"):
        stores.write(uri, window, {"lst": np.zeros(SHAPE)})
    with pytest.raises(StoreError, match=r"'land' .* has 2 dimensions, the values have 3"):
        stores.write(uri, window, {"land": np.zeros(SHAPE, bool)})
    with pytest.raises(StoreError, match=r"has the shape \(9, 13\), the values have \(9, 12\)"):
        stores.write_static(uri, "land", np.zeros((9, 12), bool))
    with pytest.raises(StoreError, match="no variable 'nope' to write"):
        stores.write(uri, window, {"nope": np.zeros(SHAPE, "float32")})
    with pytest.raises(ValueError, match="Out of range float"):
        stores.commit(uri, {"mae": float("nan")})


def test_a_variable_that_is_not_there_is_named_with_those_that_are(tmp_path):
    uri = str(tmp_path / "cube.zarr")
    write_cube(uri, make_cube())
    with pytest.raises(StoreError, match=r"no variable 'lts' in .*; there are flag, land, lat, lon, lst, time"):
        stores.read(uri, Window((0, 0, 0), (1, 1, 1)), ["lts"])


def test_rows_of_samples(place):
    rows = np.arange(22, dtype="float32").reshape(11, 2)
    template = xr.Dataset({"x": (("sample", "feature"), rows), "cell": ("sample", rows[:, 0].astype("int64"))})
    stores.create(place, template, chunks={"x": (4, 2), "cell": (4,)}, zarr_format=3)
    for first in (8, 0, 4):
        stores.write_block(place, "x", (first, 0), rows[first : first + 4])
    stores.commit(place, {})
    np.testing.assert_array_equal(stores.read_block(place, "x", (slice(3, 9),)), rows[3:9])
    np.testing.assert_array_equal(stores.read_block(place, "x"), rows)


def test_a_store_written_anew_by_another_process_is_read_as_it_is(tmp_path):
    """Nothing is remembered of a store but its format, and that only as a guess."""
    uri, cube = str(tmp_path / "cube.zarr"), make_cube()
    write_cube(uri, cube, 2)
    window = Window((0, 0, 0), SHAPE)
    stores.read(uri, window, ["lst"])
    root = Path(__file__).parents[2]
    code = f"from tests.storage.cubes import *; write_cube({uri!r}, make_cube(9), 3)"
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)
    np.testing.assert_array_equal(stores.read(uri, window, ["lst"])["lst"], make_cube(9)["lst"].values)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ENOSPC, r"cannot write .*cube\.zarr: no space left on the disk: free some, or choose another workspace"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EACCES, "no permission: change the directory's rights"),
        (errno.EDQUOT, "quota is used up"),
    ],
)
def test_failures_of_the_disk_say_what_to_do(tmp_path, monkeypatch, number, text):
    uri, cube = str(tmp_path / "cube.zarr"), make_cube()
    write_cube(uri, cube, whole=False)

    async def failing(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(zarr.storage.LocalStore, "set", failing)
    window = Window((0, 0, 0), SHAPE)
    for use in (
        lambda: stores.write(uri, window, {"lst": cube["lst"].values}),
        lambda: stores.commit(uri, {}),
        lambda: stores.create(uri, cube, chunks={}, zarr_format=3),
    ):
        with pytest.raises(StoreError, match=text):
            use()


def test_a_full_disk_for_real(tmp_path):
    """A file system of 1 MiB, where the machine lets us have one."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no small file system to fill")
    try:
        values = np.random.default_rng(0).random((8, 100, 1000))
        template = xr.Dataset({"v": (("time", "lat", "lon"), values)})
        uri = str(tmp_path / "cube.zarr")
        stores.create(uri, template, chunks={"v": (1, 100, 1000)}, zarr_format=3)
        with pytest.raises(StoreError, match="no space left on the disk"):
            stores.write(uri, Window((0, 0, 0), values.shape), {"v": values})
        with pytest.raises(StoreError, match="not whole"):
            stores.open_whole(uri)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="a file stands where a directory is needed"):
        stores.create(str(tmp_path / "file" / "cube.zarr"), make_cube(), chunks={}, zarr_format=3)


def test_damaged_metadata_and_chunks_say_so(tmp_path):
    uri = str(tmp_path / "cube.zarr")
    write_cube(uri, make_cube())
    (tmp_path / "cube.zarr" / "lst" / "c" / "0" / "0" / "0").write_bytes(b"\x02\x01garbage of some length, no blosc")
    with pytest.raises(StoreError, match="a chunk is damaged"):
        stores.read(uri, Window((0, 0, 0), (1, 1, 1)), ["lst"])
    (tmp_path / "cube.zarr" / "zarr.json").write_text("{ not json")
    with pytest.raises(StoreError, match="its metadata is damaged"):
        stores.open_whole(uri)


@pytest.mark.parametrize("bucket", ["nope-bucket"])
def test_no_such_bucket(s3, bucket):
    uri = f"s3://{bucket}/cube.zarr"
    with pytest.raises(StoreError, match=r"cannot write .*no such bucket"):
        stores.create(uri, make_cube(), chunks={}, zarr_format=3)
    with pytest.raises(StoreError, match="not even its bucket"):
        stores.open_whole(uri)


def test_a_wrong_secret_is_told_and_not_shown(s3, monkeypatch, caplog):
    write_cube(s3 + "/cube.zarr", make_cube())
    secret = "not-the-secret-1234567890"
    monkeypatch.setenv("LSTFILL_S3_SECRET_ACCESS_KEY", secret)
    caplog.set_level(logging.DEBUG)
    for use in (
        lambda: stores.open_whole(s3 + "/cube.zarr"),
        lambda: stores.create(s3 + "/cube.zarr", make_cube(), chunks={}, zarr_format=3),
    ):
        with pytest.raises(StoreError, match=r"the secret key does not fit.*check LSTFILL_S3_ACCESS_KEY_ID") as caught:
            use()
        assert secret not in str(caught.value)
        assert secret not in repr(caught.value.__cause__)
    assert secret not in caplog.text


def test_a_named_store_is_opened_once_a_process_and_one_written_anew_is_read_as_it_is(tmp_path, monkeypatch):
    uri, cube = str(tmp_path / "cube.zarr"), make_cube()
    write_cube(uri, cube, 2)
    opened = []
    monkeypatch.setattr(zarr, "open_group", lambda *a, _open=zarr.open_group, **k: opened.append(a) or _open(*a, **k))
    window = Window((0, 0, 0), SHAPE)
    for _ in range(3):
        read = stores.read(uri, window, ["lst"], identity="first")["lst"]
        np.testing.assert_array_equal(stores.read_block(uri, "lst", identity="first"), cube["lst"].values)
    np.testing.assert_array_equal(read, cube["lst"].values)
    assert len(opened) == 1
    write_cube(uri, cube.assign(lst=cube["lst"] + 1), 3)
    np.testing.assert_array_equal(stores.read(uri, window, ["lst"])["lst"], cube["lst"].values + 1)
    np.testing.assert_array_equal(stores.read_block(uri, "lst", identity="second"), cube["lst"].values + 1)


def test_a_named_run_describes_a_variable_once_and_still_refuses_cut_chunks(place, monkeypatch):
    cube = make_cube()
    stores.create(place, cube[["lst"]], chunks={"lst": CHUNKS}, zarr_format=3)
    opened = []
    monkeypatch.setattr(zarr, "open_array", lambda *a, _open=zarr.open_array, **k: opened.append(a) or _open(*a, **k))
    for window in chunk_windows(SHAPE, CHUNKS):
        stores.write(place, window, {"lst": cube["lst"].values[window.slices]}, run=place)
    assert len(opened) == 1
    with pytest.raises(StoreError, match="cuts chunks"):
        stores.write_block(place, "lst", (1, 0, 0), cube["lst"].values[:1], run=place)
    stores.commit(place, {"step": "ingest"})
    np.testing.assert_array_equal(stores.open_whole(place)["lst"].values, cube["lst"].values)
