"""The compiled package as a cluster runs it: KFP's launcher in small, pods, a real object store."""

from __future__ import annotations

import json
import os
import re
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from minio import Minio

from lstfill import artifacts
from lstfill.config import Config, build
from lstfill.storage import objects, stores
from lstfill.synthetic import TARGET
from pipelines.compiling import compile_pipeline
from pipelines.parameters import arguments
from pipelines.platform import STEPS, Platform
from tests import made
from tests.pipelines.conftest import ALIAS, MODEL, without_foreign
from tests.pipelines.launcher import Launcher, TaskFailedError, _check_metadata, _go_json
from tests.pipelines.pods import REPO, Namespace, NotStartedError, Pod, why_not

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
]

USER = 12345  # no image and no machine knows it
BUCKET = "mlpipeline"
IS_ROOT = os.geteuid() == 0
MOST_BYTES = 64 * 1024
LONGEST_ARGUMENT = 128 * 1024  # of Linux; the executor input travels as one


@dataclass
class Cluster:
    """What stands around a run: the store, the namespace, a place for pods."""

    client: Minio
    namespace: Namespace
    scratch: Path
    workspace: str
    source: str

    def package(self, **settings) -> Path:
        """Compiles for this cluster."""
        platform = build(Platform, {"security": {"run_as_user": USER}, **settings})
        path = self.scratch / f"{uuid.uuid4().hex}.yaml"
        compile_pipeline(platform, path)
        return path

    def launcher(self, **changes) -> Launcher:
        """A launcher whose pods share a tracking database."""
        scratch = self.scratch / uuid.uuid4().hex
        tracking = self.scratch / "tracking"
        tracking.mkdir(exist_ok=True)
        given = {"namespace": self.namespace, "shared": {"tracking": tracking}, **changes}
        return Launcher(self.client, f"minio://{BUCKET}/v2/artifacts", scratch=scratch, become=IS_ROOT, **given)

    def arguments(self, **sections) -> dict:
        """Arguments of a run on the synthetic cube."""
        return arguments(build(Config, made.config(self.source, **sections)), self.workspace)


@pytest.fixture(scope="module")
def cluster(object_store, tmp_path_factory):
    keys = {name: object_store.env[f"LSTFILL_S3_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")}
    address = object_store.endpoint_url.removeprefix("http://")
    client = Minio(
        address,
        access_key=keys["ACCESS_KEY_ID"],
        secret_key=keys["SECRET_ACCESS_KEY"],
        secure=False,
        region="us-east-1",
    )
    if not client.bucket_exists(BUCKET):
        client.make_bucket(BUCKET)
    namespace = Namespace(
        secrets={"lstfill-s3": {f"LSTFILL_S3_{name}": value for name, value in keys.items()}},
        config_maps={
            "lstfill": {
                "LSTFILL_S3_ENDPOINT_URL": object_store.endpoint_url,
                "MLFLOW_TRACKING_URI": "sqlite:////tracking/mlflow.db",
            }
        },
    )
    root = f"{object_store.uri}/{uuid.uuid4().hex[:12]}"
    with pytest.MonkeyPatch.context() as patch:
        without_foreign(patch)
        for name, value in object_store.env.items():
            patch.setenv(name, value)
        made.put(f"{root}/source.zarr", made.cube())
        yield Cluster(client, namespace, tmp_path_factory.mktemp("cluster"), f"{root}/work", f"{root}/source.zarr")


@pytest.fixture(scope="module")
def ended(cluster):
    """The run that ``conftest.ran`` does first, through the launcher."""
    train = {"learning_rate": 0.1, "register_as": MODEL, "alias": ALIAS}
    return cluster.launcher().run(cluster.package(), cluster.arguments(train=train))


def content(cluster, artifact):
    bucket, _, key = artifact["uri"].split("://", 1)[1].partition("/")
    with cluster.client.get_object(bucket, key) as answer:
        return answer.read()


def pointers(ended):
    """Every artifact that is a pointer."""
    every = {(step, name): artifact for step, of in ended.items() for name, artifact in of.artifacts.items()}
    return {key: artifact for key, artifact in every.items() if key[1] not in ("metrics", "report")}


def arrays(uri):
    with stores.open_whole(uri) as ds:
        return {str(name): ds[name].values for name in ds.variables}


class TestWholeRun:
    def test_every_task_succeeds_at_once(self, ended):
        assert sorted(ended) == sorted(STEPS)
        assert {of.attempts for of in ended.values()} == {1}

    def test_no_task_downloads_more_than_pointers(self, ended):
        sizes = {step: of.downloaded for step, of in ended.items()}
        assert sizes.pop("ingest") == 0
        assert all(0 < size < MOST_BYTES for size in sizes.values()), sizes

    def test_what_a_task_is_told_fits_into_an_argument_with_room(self, ended):
        sizes = {step: of.input_size for step, of in ended.items()}
        assert max(sizes.values()) < LONGEST_ARGUMENT / 4, sizes

    def test_the_filled_cube_is_that_of_the_plain_run(self, ended, cluster, ran):
        assert ran.first.status == 0, ran.first.seen
        plain = arrays(str(ran.directory / "filled" / "0.zarr"))
        here = arrays(artifacts_uri(cluster, ended["predict"].artifacts["filled"]))
        assert set(here) == set(plain)
        for name, values in plain.items():
            assert here[name].dtype == values.dtype, name
            assert here[name].tobytes() == values.tobytes(), name

    def test_the_scores_are_those_of_the_plain_run(self, ended, ran):
        metrics = ended["evaluate"].artifacts["metrics"]["metadata"]
        for part, scores in ran.first.summary["scores"].items():
            for key, value in {} if part == "baselines" else scores.items():
                assert metrics[f"{part}_{key}"] == pytest.approx(value, rel=1e-12), (part, key)

    def test_stores_lie_in_the_workspace_where_the_artifacts_lie_in_the_pipeline_root(self, ended, cluster):
        for (step, name), artifact in pointers(ended).items():
            key = artifact["uri"].removeprefix(f"minio://{BUCKET}/")
            assert artifact["metadata"]["uri"].removesuffix(".zarr") == f"{cluster.workspace}/{key}"
            assert f"/{step}/" in key
            assert key.endswith(f"/{name}")

    def test_nobody_wrote_a_home_or_a_credential(self, ended, cluster):
        said = "".join(of.log for of in ended.values())
        for value in cluster.namespace.secrets["lstfill-s3"].values():
            assert value not in said
        assert "Permission denied" not in said
        assert "Read-only file system" not in said


def artifacts_uri(cluster, artifact):
    return json.loads(content(cluster, artifact))["uri"]


class TestWhatTheInterfaceShows:
    def test_a_preview_starts_with_the_address(self, ended, cluster):
        """Kubeflow shows the first 255 bytes, or 20 lines, of a file."""
        for artifact in pointers(ended).values():
            text = content(cluster, artifact)
            address = json.loads(text)["uri"].encode()
            assert text.index(address) + len(address) < 255
            assert text.splitlines()[1].strip().startswith(b'"uri"')

    def test_the_metadata_says_what_the_pointer_says(self, ended, cluster):
        for artifact in pointers(ended).values():
            pointer = json.loads(content(cluster, artifact))
            said = artifact["metadata"]
            assert {key: said[key] for key in ("uri", "step", "identity")} == {
                key: pointer[key] for key in ("uri", "step", "identity")
            }

    def test_the_report_is_one_page_that_a_browser_takes(self, ended, cluster):
        page = content(cluster, ended["evaluate"].artifacts["report"])
        assert page[:15].lower() == b"<!doctype html>"
        assert len(page) < 2_000_000

    def test_metrics_are_numbers(self, ended):
        table = ended["evaluate"].artifacts["metrics"]["metadata"]
        scores = {name: value for name, value in table.items() if name not in ("display_name", "store_session_info")}
        assert {"test_mae_k", "test_rmse_k", "held_out_gaps_mae_k"} <= set(scores)
        assert all(type(value) in (int, float) for value in scores.values())


class TestAttempts:
    def test_a_second_one_writes_over_what_the_first_left_at_the_same_address(self, cluster):
        seen = []

        def half_written(step, attempt, addresses):
            seen.append((step, attempt, addresses))
            if (step, attempt) != ("ingest", 0):
                return False
            store = artifacts.allocate(addresses["cube"], cluster.workspace, ".zarr")
            damage(cluster.client, store)
            return True

        launcher = cluster.launcher(after_attempt=half_written)
        ended = launcher.run(cluster.package(), cluster.arguments(), only=("ingest", "mask"))
        assert [entry[:2] for entry in seen] == [("ingest", 0), ("ingest", 1), ("mask", 0)]
        assert seen[0][2] == seen[1][2]
        assert ended["ingest"].attempts == 2
        cube = arrays(ended["ingest"].artifacts["cube"]["metadata"]["uri"])
        np.testing.assert_array_equal(cube[TARGET], made.cube()[TARGET].values)

    def test_a_store_that_is_gone_has_its_own_message_in_each(self, cluster):
        places = []

        def gone(step, _, addresses):
            if step == "ingest":
                places.append(artifacts.allocate(addresses["cube"], cluster.workspace, ".zarr"))
                remove(cluster.client, places[0])
            return False

        launcher, package = cluster.launcher(after_attempt=gone), cluster.package(retry={"times": 1})
        with pytest.raises(TaskFailedError) as failed:
            launcher.run(package, cluster.arguments(), only=("ingest", "mask"))
        events = re.findall(r'lstfill-event (\{"step": "mask", "error".*\})', str(failed.value))
        assert len(events) == 2
        for event in map(json.loads, events):
            assert places[0] in event["error"]
            assert "outlived its data" in event["error"]
            assert "made by step ingest" in event["error"]

    def test_a_wrong_parameter_ends_in_a_message_and_publishes_nothing(self, cluster):
        launcher = cluster.launcher()
        values = cluster.arguments() | {"source_target": "temperature"}
        with pytest.raises(TaskFailedError) as failed:
            launcher.run(cluster.package(retry={"times": 0}), values, only=("ingest",))
        assert re.search(r'lstfill-event \{"step": "ingest", "error": ".*temperature', str(failed.value))
        assert not list(launcher.scratch.rglob("executor_output.json"))


def entries(client, store):
    bucket, _, key = store.removeprefix("s3://").partition("/")
    return bucket, [entry.object_name for entry in client.list_objects(bucket, prefix=f"{key}/", recursive=True)]


def damage(client, store):
    """As if the node had gone in the middle: no consolidated metadata, and a chunk cut off."""
    bucket, names = entries(client, store)
    chunk = next(name for name in names if f"/{TARGET}/" in name and name.rsplit("/", 1)[1][0].isdigit())
    objects.put_bytes(f"s3://{bucket}/{chunk}", b"cut off")
    client.remove_object(bucket, next(name for name in names if name.endswith(".zmetadata")))


def remove(client, store):
    bucket, names = entries(client, store)
    assert names
    for name in names:
        client.remove_object(bucket, name)


class TestStart:
    @pytest.mark.parametrize(
        ("missing", "said"),
        [
            ("secrets", 'secret "lstfill-s3", key LSTFILL_S3_ACCESS_KEY_ID not found'),
            ("config_maps", 'configmap "lstfill", key MLFLOW_TRACKING_URI not found'),
        ],
    )
    def test_needs_what_is_not_optional(self, cluster, missing, said):
        given = {"secrets": cluster.namespace.secrets, "config_maps": cluster.namespace.config_maps, missing: {}}
        launcher = cluster.launcher(namespace=Namespace(**given))
        with pytest.raises(NotStartedError, match=re.escape(said)):
            launcher.run(cluster.package(), cluster.arguments())
        assert not launcher.scratch.exists()

    def test_takes_what_is_optional_where_it_is(self, cluster):
        given = {**cluster.namespace.secrets, "lstfill-mlflow": {"MLFLOW_TRACKING_USERNAME": "me"}}
        namespace = Namespace(given, cluster.namespace.config_maps)
        settings = {"secretAsEnv": [{"secretName": "lstfill-mlflow", "optional": True, "keyToEnv": [
            {"secretKey": name, "envVar": name} for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
        ]}]}  # fmt: skip
        assert namespace.environment(settings) == {"MLFLOW_TRACKING_USERNAME": "me"}


class TestPod:
    """The emulation is as strict as a restricted pod."""

    def run(self, tmp_path, script, user=(USER, 0)):
        pod = Pod(tmp_path / "pod", {"A": "1"}, user if IS_ROOT else None)
        return pod, pod.run(["sh", "-c", script])

    @pytest.mark.skipif(not IS_ROOT, reason="only root can start a command as another user")
    def test_runs_as_the_user_without_rights(self, tmp_path):
        _, done = self.run(tmp_path, "id -u; id -g; id -G; grep -E 'CapBnd|NoNewPrivs' /proc/self/status")
        assert done.stdout.split() == [str(USER), "0", "0", "CapBnd:", "0" * 16, "NoNewPrivs:", "1"]

    @pytest.mark.parametrize("place", ["/x", f"{REPO}/x", "/etc/x", "/var/x", "/opt/x"])
    def test_writes_nowhere_else(self, tmp_path, place):
        _, done = self.run(tmp_path, f"touch {place}")
        assert done.returncode != 0
        assert re.search("Read-only file system|Permission denied", done.stderr)
        assert not Path(place).exists()

    @pytest.mark.parametrize("volume", ["tmp", "minio", "s3", "gcs"])
    def test_writes_into_its_own_volumes(self, tmp_path, volume):
        place = f"/{volume}/{uuid.uuid4().hex}"
        pod, done = self.run(tmp_path, f"echo kept > {place}")
        assert done.returncode == 0, done.stderr
        assert pod.local(place).read_text() == "kept\n"
        assert not Path(place).exists()

    def test_starts_in_the_root_with_the_images_environment_and_nothing_of_ours(self, tmp_path, monkeypatch):
        monkeypatch.setenv("LSTFILL_S3_ACCESS_KEY_ID", "of whoever runs the tests")
        _, done = self.run(tmp_path, "pwd; ls /tmp; env")
        assert done.stdout.splitlines()[0] == "/"
        names = {line.partition("=")[0] for line in done.stdout.splitlines()[1:]}
        # A checkout below /tmp is the one thing of this machine's that a pod sees there.
        checkout = Path(__file__).resolve().parts[2]
        assert names - {"PWD", "OLDPWD", "SHLVL", "_", checkout} == {"PATH", "HOME", "USER", "A"}


class TestLauncherRules:
    def test_whole_numbers_lose_their_point_and_keys_are_sorted(self):
        text = _go_json({"b": [20.0, 0.5, True, "1.0"], "a": {"d": -0.0, "c": 3}})
        assert text == '{"a": {"c": 3, "d": 0}, "b": [20, 0.5, true, "1.0"]}'

    @pytest.mark.parametrize("value", [None, float("nan"), float("inf"), np.float32(1), {"a": [None]}, b"x"])
    def test_metadata_that_the_launcher_refuses(self, value):
        with pytest.raises(TaskFailedError, match="metadata of cube: unknown or unsupported value"):
            _check_metadata("cube", {"key": value})

    def test_metadata_that_it_takes(self):
        _check_metadata("cube", {"a": [1, 2.5, "x", True], "b": {"c": []}})

    def test_an_address_outside_the_pipeline_root(self, cluster, tmp_path):
        launcher = cluster.launcher()
        with pytest.raises(TaskFailedError, match="does not have expected bucket prefix"):
            launcher._upload("s3://lst/cube.zarr", Pod(tmp_path / "pod", {}, None))
