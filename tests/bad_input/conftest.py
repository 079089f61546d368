"""Stores of a run in which nothing is wrong, and servers to be wrong about."""

from __future__ import annotations

import functools
import http.server
import os
import threading

import pytest

from lstfill.config import Mask, Preprocess, Source, Split, Tracking, Train
from lstfill.steps import ingest, mask, preprocess, split, train
from tests.bad_input.given import BLOCK, Given, source_cube, write

_FOREIGN = ("LSTFILL_", "AWS_", "MLFLOW_")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Stores of a run in which nothing is wrong, by name."""
    root = tmp_path_factory.mktemp("good")
    write(source_cube(), root / "source.zarr")
    at = {name: str(root / f"{name}.zarr") for name in ("source", "cube", "land", "parts", "samples")}
    ingest.run(Source(uri=at["source"], extras=["land_mask"]), output=at["cube"])
    mask.run(Mask(kind="variable", variable="land_mask"), cube=at["cube"], output=at["land"])
    split.run(Split(block=BLOCK), cube=at["cube"], land=at["land"], output=at["parts"])
    given = {"cube": at["cube"], "land": at["land"], "parts": at["parts"]}
    preprocess.run(Preprocess(), **given, output=at["samples"])
    return at | {"tracking": f"sqlite:///{root / 'mlflow.db'}", "root": str(root)}


@pytest.fixture(scope="module")
def model(good):
    """A model of that run."""
    output = f"{good['root']}/model"
    inputs = {name: good[name] for name in ("samples", "cube", "land", "parts")}
    train.run(Train(epochs=1), Tracking(uri=good["tracking"]), **inputs, output=output)
    return output


@pytest.fixture
def web(tmp_path):
    """A web server with nothing on it."""
    (tmp_path / "web").mkdir()
    handler = functools.partial(_Silent, directory=str(tmp_path / "web"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Nobody is asked to read it."""


@pytest.fixture
def given(good, tmp_path, request, monkeypatch):
    for name in list(os.environ):
        if name.startswith(_FOREIGN):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return Given(good, tmp_path, request, monkeypatch)
