"""Addresses that were mixed up, stores that are not whole, and disks that cannot be written."""

from __future__ import annotations

import shutil
import tempfile

from tests import made
from tests.bad_input.given import case, masked, mounted


@case(r"was written by step mask, not ingest: give the address of the work cube")
def mask_for_the_cube(given):
    return given.but(cube=given.good["land"]).step("mask")


@case(r"was written by step ingest, not mask: give the address of the land mask")
def cube_for_the_mask(given):
    return given.but(land=given.good["cube"]).step("split")


@case(r"was written by step preprocess, not train: give the address of the model")
def samples_for_the_model(given):
    return given.but(model=given.good["samples"]).step("predict")


@case(r"was written by step split, not preprocess: give the address of the samples")
def split_for_the_samples(given):
    return given.but(samples=given.good["parts"]).step("train")


@case(r"there is no store at .*/deleted.zarr: it may have been deleted.*run again without caching")
def store_was_deleted(given):
    return given.but(cube=str(given.tmp / "deleted.zarr")).step("mask")


@case(r"is not whole: the step that wrote it did not finish .*Run that step again; it overwrites what is there")
def store_is_half_written(given):
    shutil.copytree(given.good["cube"], given.tmp / "half.zarr")
    forget_provenance(given.tmp / "half.zarr")
    return given.but(cube=str(given.tmp / "half.zarr")).step("mask")


def forget_provenance(path):
    """A store as a step leaves it that was killed before its end."""
    for name in (".zmetadata", ".zattrs"):
        (path / name).unlink()


@case(r"made for another grid \(\w+\) than .* \(\w+\): run that step again")
def mask_of_another_grid(given):
    at = masked(given, made.cube((6, 12, 20)))
    return given.but(land=at["land"]).step("split")


@case(r"/cube.zarr is to be written while .*/cube.zarr is read, .*: choose another place for the output")
def output_is_the_input(given):
    cube = str(given.tmp / "cube.zarr")
    shutil.copytree(given.good["cube"], cube)
    return given.but(cube=cube, output=cube, whole=True).step("mask")


@case(r"holds files that are no Zarr store: nothing was wiped; choose another place")
def output_holds_other_files(given):
    place = given.tmp / "thesis"
    place.mkdir()
    (place / "thesis.tex").write_text("years of work")
    return given.but(output=str(place), kept=place / "thesis.tex").step("ingest")


@case(r"holds something that lstfill did not write: choose another place")
def model_output_holds_other_files(given):
    place = given.tmp / "thesis"
    place.mkdir()
    (place / "thesis.tex").write_text("years of work")
    return given.but(output=str(place), kept=place / "thesis.tex").step("train")


@case(r"cannot (write|remove) .*a file stands where a directory is needed: choose another place")
def output_lies_below_a_file(given):
    (given.tmp / "file").write_text("")
    return given.but(output=str(given.tmp / "file" / "cube.zarr")).step("ingest")


@case(r"cannot write .*no space left on the disk: free some, or choose another workspace")
def disk_is_full(given):
    return given.but(output=str(mounted(given, "size=64k") / "cube.zarr")).step("ingest")


@case(r"cannot (write|remove) .*the file system is read-only: choose another workspace")
def disk_is_read_only(given):
    return given.but(output=str(mounted(given, "size=64k,ro") / "cube.zarr")).step("ingest")


@case(r"cannot write temporary files in .*/disk: No space left on device; free some, or set TMPDIR")
def scratch_disk_is_full(given):
    given.patch.setattr(tempfile, "tempdir", str(mounted(given, "size=4k")))
    return given.step("preprocess")
