"""One source and one run of all steps, shared by every test that only looks."""

from __future__ import annotations

import pytest

from lstfill.config import Tracking
from lstfill.steps import train
from tests.steps.chain import AROUND, Chain, make_cube, source_of, write_source


@pytest.fixture(scope="session")
def cube():
    """The source in memory; not to be changed."""
    return make_cube()


@pytest.fixture(scope="session")
def source_store(tmp_path_factory, cube):
    """The source as a store of Zarr format 2."""
    return write_source(cube, tmp_path_factory.mktemp("source") / "source.zarr")


@pytest.fixture(scope="session")
def tracking(tmp_path_factory):
    """One database for all tests: making its tables takes seconds."""
    return Tracking(uri=f"sqlite:///{tmp_path_factory.mktemp('tracking')}/mlflow.db")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, source_store, tracking):
    """A chain with cube, land, parts and samples written; not to be written to."""
    chain = Chain(tmp_path_factory.mktemp("prepared"), source_of(source_store), tracking)
    chain.prepared()
    return chain


@pytest.fixture(scope="session")
def fitted(prepared):
    """The same with a model."""
    prepared.trained()
    return prepared


@pytest.fixture(scope="session")
def around(prepared, tmp_path_factory):
    """What step train says of a model of neighbours, with others to compare it with."""
    inputs = prepared.inputs("samples", "cube", "land", "parts")
    return train.run(AROUND, prepared.tracking, **inputs, output=str(tmp_path_factory.mktemp("around") / "model"))


@pytest.fixture(scope="session")
def scored(fitted):
    """The same with an evaluation."""
    fitted.scored()
    return fitted


@pytest.fixture(scope="session")
def filled(scored):
    """The same with the filled cube."""
    scored.filled()
    return scored


@pytest.fixture
def chain(tmp_path, source_store, tracking):
    """A workspace of one's own, with nothing in it."""
    return Chain(tmp_path / "run", source_of(source_store), tracking)
