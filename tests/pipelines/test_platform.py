import pytest
import yaml

from lstfill.config import build
from lstfill.errors import ConfigError
from pipelines.platform import MAX_SECONDS, STEPS, Images, Platform, Retry, Step, load
from tests.pipelines.pods import REPO

EXAMPLE = REPO / "pipelines" / "configs" / "platform.yaml"

# Measured on a global cube of ten dates, MB.
PEAKS = {"ingest": 224, "mask": 1119, "split": 276, "preprocess": 331, "train": 879, "evaluate": 844, "predict": 312}


def refused(values):
    with pytest.raises(ConfigError) as error:
        build(Platform, values, "platform.yaml")
    return str(error.value)


class TestDefaults:
    def test_the_example_holds_all_of_them(self):
        assert load(EXAMPLE) == Platform() == load(None)

    def test_the_example_holds_every_key(self):
        given = yaml.safe_load(EXAMPLE.read_text())
        assert list(given) == list(Platform.model_fields)
        for section in ("images", "retry", "security", "placement", "finished"):
            assert set(given[section]) == set(getattr(Platform(), section).model_dump()), section
        assert set(given["steps"]) == set(STEPS)
        assert all(set(step) == set(Step.model_fields) for step in given["steps"].values())

    @pytest.mark.parametrize("step", STEPS)
    def test_memory_holds_the_measured_peak_with_room(self, step):
        settings = Platform().steps[step]
        assert settings.memory_request.endswith("Gi")
        assert float(settings.memory_request.removesuffix("Gi")) * 2**30 > 1.2 * PEAKS[step] * 1e6
        assert float(settings.memory_limit.removesuffix("Gi")) * 2**30 > 2 * PEAKS[step] * 1e6

    def test_every_field_is_described(self):
        models, seen = [Platform], []
        while models:
            model = models.pop()
            seen.append(model)
            for name, field in model.model_fields.items():
                assert field.description, f"{model.__name__}.{name}"
                if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields"):
                    models.append(field.annotation)
        assert Images in seen
        assert Retry in seen


class TestSteps:
    def test_what_is_not_given_is_the_steps_own_default(self):
        made = build(Platform, {"steps": {"train": {"memory_limit": "9Gi"}}})
        assert made.steps["train"].memory_limit == "9Gi"
        assert made.steps["train"].timeout_s == Platform().steps["train"].timeout_s
        assert {name for name in STEPS if made.steps[name] != Platform().steps[name]} == {"train"}

    def test_an_unknown_step(self):
        assert refused({"steps": {"trian": {}}}).endswith(f"unknown step 'trian'; known: {', '.join(STEPS)}")

    def test_an_unknown_key_of_a_step(self):
        said = refused({"steps": {"train": {"memory": "1Gi"}}})
        assert "steps.train: unknown key 'memory'; known there: cpu_request, cpu_limit, memory_request" in said

    @pytest.mark.parametrize("values", [{"steps": 3}, {"steps": {"train": 3}}, {"steps": ["train"]}])
    def test_another_shape(self, values):
        assert refused(values).startswith("platform.yaml: steps")

    @pytest.mark.parametrize(
        ("name", "text"),
        [("cpu_limit", "two"), ("cpu_limit", "1Gi"), ("memory_limit", "4 GiB"), ("memory_limit", "4gb"),
         ("cpu_limit", 2), ("timeout_s", 0), ("timeout_s", MAX_SECONDS + 1)],
    )  # fmt: skip
    def test_a_quantity_that_kubernetes_does_not_take(self, name, text):
        said = refused({"steps": {"train": {name: text}}})
        assert f"steps.train.{name}" in said
        assert repr(text) in said

    @pytest.mark.parametrize(
        ("request_", "limit"),
        [("2", "1500m"), ("501m", "0.5")],
    )
    def test_more_cpu_requested_than_allowed(self, request_, limit):
        said = refused({"steps": {"mask": {"cpu_request": request_, "cpu_limit": limit}}})
        assert f"cpu_request {request_!r} is above cpu_limit {limit!r}" in said

    @pytest.mark.parametrize(("request_", "limit"), [("2Gi", "2G"), ("3Gi", "2000Mi"), ("1025Ki", "1Mi"), ("2", "1")])
    def test_more_memory_requested_than_allowed(self, request_, limit):
        said = refused({"steps": {"mask": {"memory_request": request_, "memory_limit": limit}}})
        assert f"memory_request {request_!r} is above memory_limit {limit!r}" in said

    @pytest.mark.parametrize(
        ("request_", "limit"), [("1Gi", "1024Mi"), ("2G", "2Gi"), ("0.5Gi", "1Gi"), ("1", "1k"[:1])]
    )
    def test_as_much_as_allowed(self, request_, limit):
        build(Platform, {"steps": {"mask": {"memory_request": request_, "memory_limit": limit}}})


class TestRefusals:
    @pytest.mark.parametrize(
        ("values", "said"),
        [
            ({"image": {}}, "platform: unknown key 'image'; known there: images, secrets"),
            ({"images": {"tags": "1"}}, "images: unknown key 'tags'; known there: registry, tag"),
            ({"images": {"tag": "latest"}}, "images.tag: a tag names one build, 'latest' does not"),
            ({"images": {"tag": "a b"}}, "images.tag"),
            ({"images": {"light": "lstfill"}}, "images.light: an image needs a tag other than 'latest'"),
            ({"images": {"ml": "r:5000/lstfill"}}, "images.ml: an image needs a tag"),
            ({"images": {"ml": "r/lstfill:latest"}}, "images.ml: an image needs a tag"),
            ({"images": {"ml": "r/lstfill@sha256:12"}}, "images.ml: an image needs a tag"),
            ({"images": {"pull_policy": "Sometimes"}}, "images.pull_policy"),
            ({"images": {"pull_secrets": ["Upper"]}}, "images.pull_secrets.0"),
            ({"secrets": [{"name": "a", "keys": {"a b": "X"}}]}, "secrets.0.keys"),
            ({"secrets": [{"name": "a", "keys": {"a": "X-Y"}}]}, "secrets.0.keys"),
            ({"secrets": [{"name": "a"}]}, "'secrets.0.keys' is required"),
            (
                {"secrets": [{"name": "a", "keys": {}, "value": "x"}]},
                "secrets.0: unknown key 'value'; known there: name, keys",
            ),
            ({"retry": {"times": -1}}, "retry.times"),
            ({"retry": {"factor": 1.5}}, "retry.factor"),
            ({"security": {"run_as_user": 0}}, "security.run_as_user"),
            ({"security": {"scratch_size": "much"}}, "security.scratch_size"),
            (
                {"placement": {"tolerations": [{"operator": "Exists", "value": "x"}]}},
                "operator 'Exists' takes no value",
            ),
            ({"placement": {"tolerations": [{"value": "x"}]}}, "operator 'Equal' needs a key"),
            ({"labels": {"team": "a b"}}, "labels.team"),
            ({"finished": {"ttl_s": -1}}, "finished.ttl_s"),
            ({"service_account": "Pipeline Runner"}, "service_account"),
        ],
    )
    def test_say_which_key_and_what_is_wrong(self, values, said):
        message = refused(values)
        assert message.startswith("platform.yaml: ")
        assert said in message

    def test_a_variable_from_two_places(self):
        twice = {"name": "a", "keys": {"x": "MLFLOW_TRACKING_URI"}}
        assert "MLFLOW_TRACKING_URI comes from more than one Secret or ConfigMap" in refused({"secrets": [twice]})

    def test_all_at_once(self):
        said = refused({"retry": {"times": -1}, "finished": {"ttl_s": -1}})
        assert "2 issues" in said


class TestImages:
    @pytest.mark.parametrize("registry", ["r.example.org/science", "r.example.org/science/"])
    def test_a_registry_ends_in_a_slash(self, registry):
        assert build(Images, {"registry": registry}).registry == "r.example.org/science/"

    def test_no_registry_is_not_the_environments(self):
        assert build(Images, {"registry": ""}).registry == ""
        assert Images().registry is None

    @pytest.mark.parametrize("name", ["a:1", "r:5000/a/b:1.2-x", "a@sha256:" + "a" * 64, "a:1@sha256:" + "a" * 64])
    def test_pinned(self, name):
        assert build(Images, {"light": name}).light == name

    def test_options_that_are_not_given_change_nothing(self):
        platform = build(Platform, {"images": {"tag": "1", "pull_policy": "Never"}})
        assert platform.with_images(registry=None, tag=None, light=None, ml=None) == platform

    def test_a_tag_takes_the_place_of_whole_names_and_leaves_the_rest(self):
        platform = build(Platform, {"images": {"light": "a:1", "ml": "b:1", "pull_policy": "Never"}})
        assert platform.with_images(tag="2").images == build(Images, {"tag": "2", "pull_policy": "Never"})


class TestRetry:
    def test_no_attempt_is_cut_short(self):
        assert Retry(times=2, backoff_s=30, factor=2).total_s(100) == 300 + 30 + 60
        assert Retry(times=0).total_s(100) == 100

    def test_within_what_kubernetes_counts(self):
        assert Retry(times=10, backoff_s=MAX_SECONDS, factor=10).total_s(MAX_SECONDS) == MAX_SECONDS


class TestLoad:
    def load(self, tmp_path, text):
        path = tmp_path / "platform.yaml"
        path.write_text(text)
        return load(path)

    def test_what_is_given_and_the_defaults(self, tmp_path):
        made = self.load(tmp_path, "service_account: pipeline-runner\nsteps: {mask: {timeout_s: 60}}\n")
        assert made.service_account == "pipeline-runner"
        assert made.steps["mask"].timeout_s == 60
        assert made.secrets == Platform().secrets

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("images: [", "is not YAML"),
            ("- a", "holds list, not settings: start with 'images:' or 'steps:'"),
            ("", "holds NoneType, not settings"),
            ("stesp: {}", "unknown key 'stesp'"),
        ],
    )
    def test_a_file_that_is_none(self, tmp_path, text, said):
        with pytest.raises(ConfigError) as error:
            self.load(tmp_path, text)
        assert said in str(error.value)
        assert str(tmp_path / "platform.yaml") in str(error.value)

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(ConfigError, match="cannot read the platform settings"):
            load(tmp_path / "nowhere.yaml")
