import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from google.protobuf import json_format
from kfp import compiler

from components.image import FULL_IMAGE, LIGHT_IMAGE
from lstfill.config import build
from lstfill.errors import ConfigError, LstfillError
from pipelines import cli
from pipelines.compiling import compile_pipeline, image_names
from pipelines.pipeline import lstfill
from pipelines.platform import STEPS, Platform
from tests.pipelines import packages

REPO = Path(__file__).resolve().parents[2]

EVERYTHING = {
    "images": {"light": "r.example.org:5000/a@sha256:" + "0" * 64, "ml": "b:1", "pull_secrets": ["pull-a", "pull-b"]},
    "secrets": [{"name": "minio", "keys": {"accesskey": "LSTFILL_S3_ACCESS_KEY_ID"}}],
    "config_maps": [],
    "steps": {"train": {"cpu_limit": "8", "memory_limit": "16Gi", "timeout_s": 100}},
    "retry": {"times": 3, "backoff_s": 10, "factor": 3},
    "security": {"run_as_user": 1234, "scratch_size": None},
    "placement": {
        "tolerations": [{"key": "pool", "value": "science", "effect": "NoSchedule"}, {"operator": "Exists"}],
        "node_selector": {"pool": "science"},
    },
    "labels": {"team": "earth"},
    "annotations": {"sidecar.istio.io/inject": "false"},
    "finished": {"ttl_s": None},
}


def tasks(documents):
    """By step: its task, its container, and what the cluster is told of it."""
    spec, platform = documents
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for step, task in spec["root"]["dag"]["tasks"].items():
        label = spec["components"][task["componentRef"]["name"]]["executorLabel"]
        yield step, task, spec["deploymentSpec"]["executors"][label]["container"], executors[label]


@pytest.fixture(scope="module")
def default():
    return packages.compiled(Platform())


@pytest.fixture(scope="module")
def everything():
    return packages.compiled(build(Platform, EVERYTHING))


@pytest.fixture(params=["default", "everything"])
def documents(request):
    return request.getfixturevalue(request.param)


class TestGolden:
    def test_the_package_is_the_one_that_is_kept(self):
        kept = list(yaml.safe_load_all(packages.GOLDEN.read_text(encoding="utf-8")))
        made = packages.comparable(packages.compiled(packages.PLATFORM))
        renew = f"if the change is meant: {packages.RENEW}"
        assert [sorted(document) for document in made] == [sorted(document) for document in kept], renew
        for now, before in zip(made, kept, strict=True):
            for key, value in now.items():
                assert value == before[key], f"{key} changed; {renew}"

    def test_what_is_kept_names_no_version_of_the_compiler(self):
        assert "sdkVersion" not in packages.GOLDEN.read_text(encoding="utf-8")

    def test_another_process_compiles_the_same(self, tmp_path):
        out = tmp_path / "lstfill.yaml"
        images = ["--registry", "registry.example.org/science", "--tag", "0.0.0"]
        subprocess.run(
            [sys.executable, "-m", "pipelines", "compile", "--out", str(out), *images],
            cwd=REPO, env={**os.environ, "PYTHONHASHSEED": "7"}, check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        assert list(yaml.safe_load_all(out.read_text())) == packages.compiled(packages.PLATFORM)


class TestRules:
    """Of every package, whatever the settings."""

    def test_every_step_has_both_its_documents(self, documents):
        assert sorted(step for step, *_ in tasks(documents)) == sorted(STEPS)

    def test_an_image_is_pinned(self, documents):
        for _, _, container, _ in tasks(documents):
            assert re.search(r"(:(?!latest$)[\w.-]+|@sha256:[0-9a-f]{64})$", container["image"]), container["image"]

    def test_cpu_and_memory_are_requested_and_limited(self, documents):
        for step, _, container, _ in tasks(documents):
            resources = container["resources"]
            for name in ("Cpu", "Memory"):
                request, limit = resources[f"resource{name}Request"], resources[f"resource{name}Limit"]
                assert request
                assert limit
                assert resources[f"{name.lower()}Request"] <= resources[f"{name.lower()}Limit"], step

    def test_an_attempt_ends_and_is_repeated_after_a_wait(self, documents):
        for _, task, _, settings in tasks(documents):
            assert int(settings["activeDeadlineSeconds"]) > 0
            assert task["retryPolicy"]["maxRetryCount"] >= 2
            assert _seconds(task["retryPolicy"]["backoffDuration"]) >= 10
            assert task["retryPolicy"]["backoffFactor"] > 1

    def test_every_attempt_has_its_whole_time(self, documents):
        """What Kubeflow calls the longest back-off is the time for all attempts together."""
        for step, task, _, settings in tasks(documents):
            policy = task["retryPolicy"]
            attempts = 1 + policy["maxRetryCount"]
            assert _seconds(policy["backoffMaxDuration"]) > attempts * int(settings["activeDeadlineSeconds"]), step

    def test_nobody_is_root(self, documents):
        for _, _, _, settings in tasks(documents):
            assert settings["securityContext"]["runAsNonRoot"] is True
            assert int(settings["securityContext"]["runAsUser"]) > 0

    def test_nothing_is_installed_and_nothing_pulled_twice(self, documents):
        for _, _, container, settings in tasks(documents):
            assert not re.search(r"pip3? install|--index-url|apt-get", " ".join(container["command"]))
            assert settings["imagePullPolicy"] == "IfNotPresent"

    def test_secrets_are_named_and_not_held(self, documents):
        text = json.dumps(documents)
        assert not re.search(r"AKIA[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY|eyJ[\w-]{20}", text)
        for _, _, container, settings in tasks(documents):
            assert "env" not in container
            for reference in settings["secretAsEnv"]:
                assert reference["secretName"] == reference["secretNameParameter"]["runtimeValue"]["constant"]
                assert all(set(entry) == {"envVar", "secretKey"} for entry in reference["keyToEnv"])

    def test_no_path_of_a_machine_and_no_mount_of_a_node(self, documents):
        text = json.dumps(documents)
        for path in (REPO, Path.home(), Path(sys.prefix), Path(sys.base_prefix)):
            assert str(path) not in text
        assert not re.search(r"hostPath|pvcMount|secretAsVolume|configMapAsVolume", text)

    def test_every_parameter_is_described_and_only_two_have_no_default(self, documents):
        parameters = documents[0]["root"]["inputDefinitions"]["parameters"]
        assert all(len(of.get("description", "")) > 3 for of in parameters.values())
        assert {name for name, of in parameters.items() if "defaultValue" not in of} == {"workspace", "source_uri"}

    def test_tasks_have_names_for_readers(self, documents):
        names = [task["taskInfo"]["name"] for _, task, _, _ in tasks(documents)]
        assert all(re.fullmatch(r"[A-Z][a-z]+ [a-z]+", name) for name in names)
        assert len(set(names)) == len(names)

    def test_pods_say_which_step_they_are(self, documents):
        for step, _, _, settings in tasks(documents):
            assert settings["podMetadata"]["labels"]["app.kubernetes.io/component"] == step


def _seconds(duration):
    return int(duration.removesuffix("s"))


class TestDefaults:
    def test_images_are_ours(self, default):
        for step, _, container, _ in tasks(default):
            large = step in ("train", "evaluate", "predict")
            assert container["image"] == (FULL_IMAGE if large else LIGHT_IMAGE)

    def test_environment(self, default):
        for _, _, _, settings in tasks(default):
            found = {entry["envVar"]: of for of in settings["secretAsEnv"] for entry in of["keyToEnv"]}
            assert {name: of["secretName"] for name, of in found.items()} == {
                "LSTFILL_S3_ACCESS_KEY_ID": "lstfill-s3",
                "LSTFILL_S3_SECRET_ACCESS_KEY": "lstfill-s3",
                "LSTFILL_SOURCE_S3_ACCESS_KEY_ID": "lstfill-source-s3",
                "LSTFILL_SOURCE_S3_SECRET_ACCESS_KEY": "lstfill-source-s3",
                "MLFLOW_TRACKING_USERNAME": "lstfill-mlflow",
                "MLFLOW_TRACKING_PASSWORD": "lstfill-mlflow",
            }
            needed = {name for name, of in found.items() if not of["optional"]}
            assert needed == {"LSTFILL_S3_ACCESS_KEY_ID", "LSTFILL_S3_SECRET_ACCESS_KEY"}

    def test_addresses(self, default):
        for _, _, _, settings in tasks(default):
            found = {entry["envVar"]: of for of in settings["configMapAsEnv"] for entry in of["keyToEnv"]}
            assert set(found) == {"MLFLOW_TRACKING_URI", "LSTFILL_S3_ENDPOINT_URL", "LSTFILL_S3_REGION"}
            assert {of["configMapName"] for of in found.values()} == {"lstfill"}
            assert [name for name, of in found.items() if not of["optional"]] == ["MLFLOW_TRACKING_URI"]

    def test_user_of_the_images_and_a_place_to_write(self, default):
        for _, _, _, settings in tasks(default):
            assert settings["securityContext"] == {"runAsUser": "10001", "runAsGroup": "0", "runAsNonRoot": True}
            (mount,) = settings["emptyDirMounts"]
            assert mount == {"volumeName": "scratch", "mountPath": "/tmp", "sizeLimit": "8Gi"}  # noqa: S108

    def test_finished_pods_go_after_a_week(self, default):
        settings = default[1]["platforms"]["kubernetes"]["pipelineConfig"]
        assert settings["resourceTtlOnCompletion"] == 7 * 24 * 3600


class TestSettings:
    def test_images(self, everything):
        images = {step: container["image"] for step, _, container, _ in tasks(everything)}
        assert images["ingest"] == EVERYTHING["images"]["light"]
        assert images["train"] == "b:1"
        for *_, settings in tasks(everything):
            assert [of["secretName"] for of in settings["imagePullSecret"]] == ["pull-a", "pull-b"]

    def test_a_secret_with_other_keys_replaces_the_list(self, everything):
        for *_, settings in tasks(everything):
            (reference,) = settings["secretAsEnv"]
            assert reference["secretName"] == "minio"
            assert reference["keyToEnv"] == [{"secretKey": "accesskey", "envVar": "LSTFILL_S3_ACCESS_KEY_ID"}]
            assert "configMapAsEnv" not in settings

    def test_a_step_keeps_the_defaults_that_are_not_given(self, everything, default):
        of = {step: container["resources"] for step, _, container, _ in tasks(everything)}
        assert of["train"]["resourceMemoryLimit"] == "16Gi"
        assert of["train"]["resourceMemoryRequest"] == "2Gi"
        before = {step: container["resources"] for step, _, container, _ in tasks(default)}
        assert {step for step in STEPS if of[step] != before[step]} == {"train"}

    def test_retries(self, everything):
        policy = next(task["retryPolicy"] for step, task, *_ in tasks(everything) if step == "train")
        # Four attempts of 100 s, and waits of 10, 30 and 90 s.
        wanted = {"maxRetryCount": 3, "backoffDuration": "10s", "backoffFactor": 3.0, "backoffMaxDuration": "530s"}
        assert policy == wanted

    def test_no_retry(self):
        documents = packages.compiled(build(Platform, {"retry": {"times": 0}}))
        assert not [step for step, task, *_ in tasks(documents) if "retryPolicy" in task]

    def test_placement_and_metadata(self, everything):
        for step, _, _, settings in tasks(everything):
            assert settings["tolerations"] == [
                {"key": "pool", "operator": "Equal", "value": "science", "effect": "NoSchedule"},
                {"operator": "Exists"},
            ]
            assert settings["nodeSelector"]["labels"] == {"pool": "science"}
            assert settings["podMetadata"]["labels"] == {"team": "earth", "app.kubernetes.io/component": step}
            assert settings["podMetadata"]["annotations"] == {"sidecar.istio.io/inject": "false"}

    def test_user_without_scratch(self, everything):
        for *_, settings in tasks(everything):
            assert settings["securityContext"]["runAsUser"] == "1234"
            assert "emptyDirMounts" not in settings

    def test_finished_pods_stay(self, everything):
        assert "pipelineConfig" not in everything[1]["platforms"]["kubernetes"]


class TestLocalRunsStayAsTheyWere:
    """A local run would honour retries: a wrong configuration would be tried three times."""

    def test_the_pipeline_itself_carries_no_settings(self, tmp_path):
        path = tmp_path / "plain.yaml"
        compiler.Compiler().compile(lstfill, str(path))
        (spec,) = yaml.safe_load_all(path.read_text())
        assert "retryPolicy" not in json.dumps(spec)
        assert not [of for of in spec["deploymentSpec"]["executors"].values() if "resources" in of["container"]]

    @pytest.mark.usefixtures("everything")
    def test_nor_does_it_take_them_over_from_a_package(self):
        executors = lstfill.pipeline_spec.deployment_spec["executors"]
        assert {of["container"]["image"] for of in executors.values()} == {LIGHT_IMAGE, FULL_IMAGE}

    def test_the_package_does_the_same_work(self, default):
        plain = json_format.MessageToDict(lstfill.pipeline_spec)
        for step, task, container, _ in tasks(default):
            executor = plain["deploymentSpec"]["executors"][f"exec-{step}"]["container"]
            assert executor["command"] == container["command"]
            assert plain["root"]["dag"]["tasks"][step]["inputs"] == task["inputs"]


class TestImageNames:
    def test_registry_and_tag_of_an_option_win(self):
        platform = build(Platform, {"images": {"registry": "r", "tag": "1", "light": "x:1"}}).with_images(tag="2")
        assert list(image_names(platform).values()) == ["r/lstfill-python:2", "r/lstfill-python-ml:2"]

    def test_a_whole_name_wins_over_registry_and_tag(self):
        platform = Platform().with_images(registry="r", tag="1", ml="own/image:3")
        assert list(image_names(platform).values()) == ["r/lstfill-python:1", "own/image:3"]

    def test_an_environment_that_names_latest_is_refused(self, tmp_path):
        done = subprocess.run(
            [sys.executable, "-m", "pipelines", "compile", "--out", str(tmp_path / "p.yaml")],
            cwd=REPO, env={**os.environ, "LSTFILL_IMAGE_TAG": "latest"}, capture_output=True, text=True, check=False,
            timeout=120,
        )  # fmt: skip
        assert done.returncode == 1
        assert "an image needs a tag other than 'latest', or a digest" in done.stderr
        assert "lstfill-python:latest" in done.stderr


class TestCommand:
    def compile(self, capsys, *arguments):
        status = cli.main(["compile", *map(str, arguments)])
        said = capsys.readouterr()
        return status, said.out + said.err

    def test_options_reach_the_package(self, tmp_path, capsys):
        out, settings = tmp_path / "new" / "p.yaml", tmp_path / "platform.yaml"
        settings.write_text("retry: {times: 5}\nimages: {registry: r.example.org}\n")
        assert self.compile(capsys, "--out", out, "--platform", settings, "--tag", "abc") == (0, f"{out}\n")
        spec = next(yaml.safe_load_all(out.read_text()))
        assert spec["root"]["dag"]["tasks"]["mask"]["retryPolicy"]["maxRetryCount"] == 5
        container = spec["deploymentSpec"]["executors"]["exec-mask"]["container"]
        assert container["image"] == "r.example.org/lstfill-python:abc"

    def test_whole_names(self, tmp_path, capsys):
        out = tmp_path / "p.yaml"
        assert self.compile(capsys, "--out", out, "--light-image", "a/x:1", "--ml-image", "a/y:2")[0] == 0
        found = {container["image"] for _, _, container, _ in tasks(list(yaml.safe_load_all(out.read_text())))}
        assert found == {"a/x:1", "a/y:2"}

    @pytest.mark.parametrize("option", [("--tag", "latest"), ("--ml-image", "x"), ("--ml-image", "host:5000/x")])
    def test_an_image_that_is_not_pinned_is_refused_before_anything_is_written(self, tmp_path, capsys, option):
        status, said = self.compile(capsys, "--out", tmp_path / "p.yaml", *option)
        assert status == 1
        assert "latest" in said
        assert option[1] in said
        assert list(tmp_path.iterdir()) == []

    def test_settings_that_cannot_be_read(self, tmp_path, capsys):
        status, said = self.compile(capsys, "--out", tmp_path / "p.yaml", "--platform", tmp_path / "nowhere.yaml")
        assert status == 1
        assert f"cannot read the platform settings {tmp_path / 'nowhere.yaml'}: No such file" in said


def test_a_suffix_that_kubeflow_does_not_take(tmp_path):
    with pytest.raises(LstfillError, match=r"must end in \.yaml, \.yml or \.json"):
        compile_pipeline(Platform(), tmp_path / "lstfill.txt")


def test_an_unpinned_whole_name_is_refused():
    with pytest.raises(ConfigError, match="light: an image needs a tag other than 'latest'"):
        Platform().with_images(light="registry.example.org/lstfill-python:latest")
