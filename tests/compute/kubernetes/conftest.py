"""One operator for the tests of a file that need it, and a pod to be in."""

from __future__ import annotations

import sys

import pytest

from tests.compute.kubernetes.pods import KEY, within_pod
from tests.kubernetes.operating import running_operator


@pytest.fixture(scope="module")
def operated(tmp_path_factory):
    """A double of Kubernetes with the real Dask operator at work, and the secret of the object store."""
    if not sys.platform.startswith("linux"):
        pytest.skip("pods get loopback addresses of their own, which only Linux has without asking")
    with running_operator(tmp_path_factory.mktemp("kubernetes")) as double:
        double.create("v1", "secrets", {"metadata": {"name": "lstfill-s3"}, "stringData": {KEY: "from the secret"}})
        yield double


@pytest.fixture
def in_pod(operated, tmp_path):
    """The double, with this process in a pod of it."""
    with within_pod(operated, tmp_path):
        yield operated
