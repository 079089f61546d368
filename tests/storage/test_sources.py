import functools
import http.server
import socket
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from lstfill.config import Source, WorkChunks, ZarrOptions
from lstfill.errors import StoreError
from lstfill.storage import objects, sources, stores
from tests.storage.cubes import make_cube


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class _NoListing(_Quiet):
    """Answers as a bucket does whose objects are public and whose list is not: 403 for what is not there."""

    def send_head(self):
        path = self.translate_path(self.path)
        if not Path(path).is_file():
            self.send_error(403)
            return None
        return super().send_head()


class _Shaky(_Quiet):
    """Fails the first time that each object is asked for."""

    seen: set[str]

    def send_head(self):
        if self.path not in self.seen:
            self.seen.add(self.path)
            self.send_error(503)
            return None
        return super().send_head()


@pytest.fixture
def serve(tmp_path):
    """Starts an http server on ``tmp_path``; gives its address."""
    servers = []

    def start(handler=_Quiet):
        bound = type("Handler", (handler,), {"seen": set()})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(bound, directory=str(tmp_path)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def write_source(path, zarr_format=2, *, consolidated=True, group=None):
    cube = make_cube()
    encoding = {"lst": {"chunks": (4, 5, 6)}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cube.to_zarr(path, zarr_format=zarr_format, consolidated=consolidated, group=group, encoding=encoding)
        if group and consolidated:
            zarr.consolidate_metadata(str(path))
    return cube


@pytest.mark.parametrize("group", [None, "data/cube"])
@pytest.mark.parametrize("consolidated", [True, False])
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("place", ["path", "s3", "http"])
def test_every_kind_of_source_opens(request, tmp_path, serve, place, zarr_format, consolidated, group):
    cube = write_source(tmp_path / "cube.zarr", zarr_format, consolidated=consolidated, group=group)
    if place == "path":
        source = Source(uri=str(tmp_path / "cube.zarr"), zarr_options=ZarrOptions(group=group))
    elif place == "http":
        source = Source(uri=serve() + "/cube.zarr", zarr_options=ZarrOptions(group=group))
    else:
        uri = request.getfixturevalue("s3") + "/cube.zarr"
        objects.put_tree(tmp_path / "cube.zarr", uri)
        source = Source(uri=uri, zarr_options=ZarrOptions(group=group))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = sources.open_source(source)
        assert sources.source_zarr_format(found) == zarr_format
        assert found["lst"].chunks is None
        with sources.source_errors(source):
            np.testing.assert_array_equal(found["lst"].values, cube["lst"].values)
    np.testing.assert_array_equal(found["time"].values, cube["time"].values)
    assert sources.source_chunks(found, "lst") == (4, 5, 6)


def test_chunks_are_never_larger_than_the_cut_cube():
    cube = make_cube()
    assert sources.source_chunks(cube, "lst") == (7, 9, 13)
    assert sources.source_chunks(cube, "land") == (1, 9, 13)
    cube["lst"].encoding["preferred_chunks"] = {"time": 184, "lat": 5, "lon": 6}
    assert sources.source_chunks(cube.isel(lat=slice(0, 3)), "lst") == (7, 3, 6)


def test_a_bucket_that_may_not_be_listed_hides_what_is_not_there(tmp_path, serve):
    """Format 3 is looked for first and answered with 403; the store is of format 2 all the same."""
    cube = write_source(tmp_path / "cube.zarr", 2)
    source = Source(uri=serve(_NoListing) + "/cube.zarr")
    np.testing.assert_array_equal(sources.open_source(source)["lst"].values, cube["lst"].values)
    (tmp_path / "cube.zarr/lst/0.0.0").unlink()
    found = sources.open_source(source)["lst"].values
    assert np.isnan(found[:4, :5, :6]).all(), "a chunk without values need not be stored"
    np.testing.assert_array_equal(found[4:], cube["lst"].values[4:])
    with pytest.raises(StoreError, match="no access at the server, access denied"):
        sources.open_source(source.model_copy(update={"uri": source.uri + "x"}))


def test_a_shaky_server_is_asked_again(tmp_path, serve):
    cube = write_source(tmp_path / "cube.zarr", 2)
    found = sources.open_source(Source(uri=serve(_Shaky) + "/cube.zarr"))
    np.testing.assert_array_equal(found["lst"].values, cube["lst"].values)


def test_a_server_without_lists_needs_consolidated_metadata(tmp_path, serve):
    write_source(tmp_path / "cube.zarr", 3, consolidated=False)
    with pytest.raises(StoreError, match="needs consolidated metadata, or a server that lists"):
        sources.open_source(Source(uri=serve(_NoListing) + "/cube.zarr"))


def test_odd_calendars_become_cftime_without_a_warning(tmp_path):
    times = xr.date_range("2000-02-25", periods=5, calendar="noleap", use_cftime=True)
    xr.Dataset({"v": ("time", np.arange(5.0))}, coords={"time": times}).to_zarr(tmp_path / "c.zarr", zarr_format=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = sources.open_source(Source(uri=str(tmp_path / "c.zarr")))
    assert found["time"].dtype == object
    assert found["time"].values[-1].calendar == "noleap"


def test_a_time_that_cannot_be_decoded_is_named(tmp_path):
    attrs = {"units": "fortnights since yesterday"}
    xr.Dataset(coords={"time": ("time", [1, 2], attrs)}).to_zarr(tmp_path / "c.zarr", zarr_format=2)
    with pytest.raises(StoreError, match="time that cannot be decoded: correct its attributes 'units' and 'calendar'"):
        sources.open_source(Source(uri=str(tmp_path / "c.zarr")))


def _array(tmp_path):
    zarr.create_array(str(tmp_path / "x.zarr"), shape=(3,), dtype="f4")


def _array_of_format_2(tmp_path):
    zarr.create_array(str(tmp_path / "x.zarr"), shape=(3,), dtype="f4", zarr_format=2)


def _empty(tmp_path):
    zarr.create_group(str(tmp_path / "x.zarr"))


def _grouped(tmp_path):
    write_source(tmp_path / "x.zarr", 3, group="deep")


def _unconsolidated(tmp_path):
    write_source(tmp_path / "x.zarr", 2, consolidated=False)


def _file(tmp_path):
    (tmp_path / "x.zarr").write_text("netcdf, or so")


def _directory(tmp_path):
    (tmp_path / "x.zarr").mkdir()


def _damaged(tmp_path):
    write_source(tmp_path / "x.zarr", 3)
    (tmp_path / "x.zarr" / "zarr.json").write_text("{")


@pytest.mark.parametrize(
    ("prepare", "options", "text"),
    [
        (lambda _: None, {}, "there is no Zarr store at .*neither zarr.json nor .zgroup"),
        (_file, {}, "there is no Zarr store at|a file stands where"),
        (_directory, {}, "there is no Zarr store at"),
        (_array, {}, "is a single Zarr array: give the group"),
        (_array_of_format_2, {}, "is a single Zarr array: give the group"),
        (_empty, {}, "is a Zarr group without variables"),
        (_grouped, {}, "but groups: deep; set source.zarr_options.group"),
        (_grouped, {"group": "shallow"}, "has no group 'shallow'; there are deep"),
        (_grouped, {"group": "deep/lst"}, "'deep/lst' in .* is an array"),
        (_unconsolidated, {"consolidated": True}, "has no consolidated metadata: leave out"),
        (_unconsolidated, {"zarr_format": 3}, "makes it a Zarr group of format 3"),
        (_damaged, {}, "its metadata is damaged"),
    ],
)
def test_what_is_no_cube_is_refused(tmp_path, prepare, options, text):
    prepare(tmp_path)
    with pytest.raises(StoreError, match=text):
        sources.open_source(Source(uri=str(tmp_path / "x.zarr"), zarr_options=ZarrOptions(**options)))


def test_no_cube_in_the_object_store(s3, object_store, monkeypatch):
    def refusal(**keys):
        with pytest.raises(StoreError) as caught:
            sources.open_source(Source(**keys))
        return str(caught.value)

    assert "there is no Zarr store at s3://lst" in refusal(uri=s3 + "/none.zarr")
    assert "there is no such bucket" in refusal(uri="s3://nope-bucket/none.zarr")
    stores.create(s3 + "/c.zarr", make_cube(), chunks={}, zarr_format=3)
    anonymous = refusal(uri=s3 + "/c.zarr", anonymous=True, endpoint_url=object_store.endpoint_url)
    assert "the bucket is not public; set source.anonymous to false" in anonymous
    monkeypatch.setenv("LSTFILL_S3_ACCESS_KEY_ID", "nobody")
    assert "the access key is unknown there: check LSTFILL_S3_ACCESS_KEY_ID" in refusal(uri=s3 + "/c.zarr")


def test_no_credentials_at_all(no_credentials):
    with pytest.raises(StoreError, match="there are no credentials: check LSTFILL_S3_ACCESS_KEY_ID"):
        sources.open_source(Source(uri="s3://lst/c.zarr", endpoint_url="http://127.0.0.1:1"))


@pytest.mark.parametrize("uri", ["s3://lst/c.zarr", "http://127.0.0.1:{port}/c.zarr"])
def test_a_dead_endpoint_fails_soon(s3, uri):
    """Nothing listens there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}" if uri.startswith("s3") else None
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"(endpoint http://127.0.0.1:\d+|the server) cannot be reached"):
        sources.open_source(Source(uri=uri.format(port=port), endpoint_url=endpoint))
    assert time.monotonic() - began < 10


def test_an_endpoint_that_swallows_connections_fails_within_15_s(s3):
    """As behind a firewall: the queue of connections is full and nobody takes one out."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        began = time.monotonic()
        with pytest.raises(StoreError, match="cannot be reached"):
            sources.open_source(Source(uri="s3://lst/c.zarr", endpoint_url=f"http://127.0.0.1:{address[1]}"))
        assert time.monotonic() - began < 15
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("gs://bucket/c.zarr", "unknown scheme 'gs': use s3://, https:// or a path"),
        ("s3:///c.zarr", "names no bucket"),
        ("s3://Bad_Bucket!/c.zarr", "the address is not valid|no such bucket"),
    ],
)
def test_addresses_that_cannot_be_meant(s3, uri, text):
    with pytest.raises(StoreError, match=text):
        sources.open_source(Source(uri=uri))


def test_a_password_in_the_address_is_not_shown():
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        stores.open_whole("http://me:hidden-password@127.0.0.1:1/c.zarr")
    assert "hidden-password" not in str(caught.value)


def test_an_anonymous_source_is_not_redirected_by_the_workspace(s3, monkeypatch):
    """The public bucket lies on AWS, whatever AWS_ENDPOINT_URL says."""
    from lstfill.storage.handles import s3_filesystem
    from lstfill.storage.options import source_options

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "elsewhere")
    options = source_options(Source(uri="s3://public/c.zarr", anonymous=True))
    assert s3_filesystem(options).s3.meta.endpoint_url == "https://s3.amazonaws.com"


@pytest.mark.parametrize(("name", "variable"), [("istra_2008", "truth"), ("era5_t2m_uk_201903", "air_temperature_2m")])
def test_the_real_cubes_open(shared_data, name, variable):
    source = Source(uri=str(shared_data / f"{name}.zarr"), chunks=WorkChunks())
    found = sources.open_source(source)
    assert sources.source_zarr_format(found) == 2
    assert found["time"].dtype == "datetime64[ns]"
    assert np.isfinite(found[variable].isel(time=0).values).any()
    assert all(a <= b for a, b in zip(sources.source_chunks(found, variable), found[variable].shape, strict=True))
