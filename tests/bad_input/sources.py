"""Sources that are not there, or may not be read."""

from __future__ import annotations

import shutil

import xarray as xr

from tests.bad_input.given import case, closed_port


@case(r"there is no Zarr store at .*/nowhere.zarr: .*check the address")
def source_path_is_missing(given):
    return given.ingest_from(given.tmp / "nowhere.zarr")


@case(r"there is no Zarr store at .*/notes: neither zarr.json nor .zgroup")
def source_is_no_zarr_store(given):
    (given.tmp / "notes").mkdir()
    (given.tmp / "notes" / "a.txt").write_text("hello")
    return given.ingest_from(given.tmp / "notes")


@case(r"/cube.nc.* (file|Zarr)")
def source_is_a_file(given):
    (given.tmp / "cube.nc").write_bytes(b"CDF\x01" + bytes(100))
    return given.ingest_from(given.tmp / "cube.nc")


@case(r"cube.zarr/land is a single Zarr array: give the group that holds it")
def source_is_an_array(given):
    shutil.copytree(given.good["land"], given.tmp / "cube.zarr")
    return given.ingest_from(given.tmp / "cube.zarr" / "land")


@case(r"is a Zarr group without variables|holds no variables")
def source_is_an_empty_group(given):
    return given.ingest_of(xr.Dataset())


@case(r"has no group 'daily'; there are none: set source.zarr_options.group")
def group_is_missing(given):
    return given.ingest_from(given.good["source"], zarr_options={"group": "daily"})


@case(r"gs://bucket/cube.zarr has the unknown scheme 'gs': use s3://, https:// or a path")
def unknown_scheme(given):
    return given.ingest_from("gs://bucket/cube.zarr")


@case(r"cannot read s3://no-such-bucket/cube.zarr: there is no such bucket; check the address")
def bucket_is_missing(given):
    given.request.getfixturevalue("s3")
    return given.ingest_from("s3://no-such-bucket/cube.zarr")


@case(r"there is no Zarr store at s3://lst/.*/nothing.zarr")
def nothing_in_the_bucket(given):
    return given.ingest_from(f"{given.request.getfixturevalue('s3')}/nothing.zarr")


@case(r"no access at the endpoint http://127.0.0.1:\d+, .*: check LSTFILL_S3_ACCESS_KEY_ID")
def wrong_secret(given):
    place = given.request.getfixturevalue("s3")
    given.patch.setenv("LSTFILL_S3_SECRET_ACCESS_KEY", "not-the-secret-of-this-store")
    return given.ingest_from(f"{place}/cube.zarr")


@case(r"no access at the endpoint http://127.0.0.1:\d+, .*: check LSTFILL_S3_ACCESS_KEY_ID")
def unknown_access_key(given):
    place = given.request.getfixturevalue("s3")
    given.patch.setenv("LSTFILL_S3_ACCESS_KEY_ID", "nobody")
    return given.ingest_from(f"{place}/cube.zarr")


@case(r"LSTFILL_S3_ACCESS_KEY_ID is set but LSTFILL_S3_SECRET_ACCESS_KEY is not: set both or none")
def half_a_pair_of_keys(given):
    place = given.request.getfixturevalue("s3")
    given.patch.delenv("LSTFILL_S3_SECRET_ACCESS_KEY")
    return given.ingest_from(f"{place}/cube.zarr")


@case(r"there are no credentials: check LSTFILL_S3_ACCESS_KEY_ID")
def no_keys_at_all(given):
    store = given.request.getfixturevalue("object_store")
    given.request.getfixturevalue("no_credentials")
    return given.ingest_from("s3://lst/cube.zarr", endpoint_url=store.endpoint_url)


@case(r"the bucket is not public; set source.anonymous to false and give keys")
def bucket_is_not_public(given):
    store = given.request.getfixturevalue("object_store")
    return given.ingest_from("s3://lst/cube.zarr", endpoint_url=store.endpoint_url, anonymous=True)


@case(r"the endpoint http://127.0.0.1:\d+ cannot be reached .*: check the address, the network and the proxy")
def endpoint_is_dead(given):
    return given.ingest_from("s3://lst/cube.zarr", endpoint_url=f"http://127.0.0.1:{closed_port()}", anonymous=True)


@case(r"the S3 endpoint 'localhost:9000' is not an address: write http\(s\)://HOST:PORT")
def endpoint_is_no_address(given):
    return given.ingest_from("s3://lst/cube.zarr", endpoint_url="localhost:9000", anonymous=True)


@case(r"there is no Zarr store at http://127.0.0.1:\d+/cube.zarr")
def not_found_over_http(given):
    return given.ingest_from(f"{given.request.getfixturevalue('web')}/cube.zarr")


@case(r"cannot read http://127.0.0.1:\d+/cube.zarr: the server cannot be reached")
def web_server_is_dead(given):
    return given.ingest_from(f"http://127.0.0.1:{closed_port()}/cube.zarr")
