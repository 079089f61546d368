"""From options to a run: arguments that are checked before anything is sent, an experiment, a package."""

from __future__ import annotations

import argparse

import pytest
import yaml

from lstfill.errors import ConfigError, LstfillError
from pipelines import compiling, kubeflow_options
from pipelines.parameters import arguments, configuration
from pipelines.platform import Platform
from tests import made
from tests.pipelines.kfp_api import alone


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    alone(monkeypatch)


def parsed(*given):
    parser = argparse.ArgumentParser()
    kubeflow_options.add_run_options(parser)
    kubeflow_options.add_platform_options(parser)
    return parser.parse_args([str(item) for item in given])


class TestArguments:
    def of(self, *given):
        return kubeflow_options.arguments_of(parsed(*given))

    def test_of_a_configuration(self, tmp_path):
        config = made.write_config(tmp_path / "c.yaml", "s3://b/cube.zarr")
        values = self.of("--config", config, "--workspace", "s3://b/w")
        expected = configuration(values)
        assert values == arguments(expected, "s3://b/w")
        assert expected.train.epochs == 4

    def test_a_parameter_goes_over_the_configuration(self, tmp_path):
        config = made.write_config(tmp_path / "c.yaml", "s3://b/cube.zarr")
        values = self.of("--config", config, "--workspace", "s3://b/w", "-p", "train_epochs=9", "-p", "split_buffer={}")
        assert (values["train_epochs"], values["split_buffer"], values["train_batch_size"]) == (9, {}, 512)

    def test_parameters_alone(self):
        values = self.of(
            "-p", "workspace=s3://b/w", "-p", "source_uri=https://x/c.zarr", "-p", "source_endpoint_url=a=b"
        )
        assert values == {"workspace": "s3://b/w", "source_uri": "https://x/c.zarr", "source_endpoint_url": "a=b"}

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (["-p", "source_uri=s3://b/c"], r"the workspace is '', and pods need an object store: --workspace s3://"),
            (["--workspace", "workspace", "-p", "source_uri=s3://b/c"], "the workspace is 'workspace'"),
            (["--workspace", "s3://b/w"], r"'source(.uri)?' is required"),
            (["--workspace", "s3://b/w", "-p", "source_uri=cube.zarr"], "'cube.zarr' is a path of this machine"),
            (["--workspace", "s3://b/w", "-p", "source_uri=file:///c"], "'file:///c' is a path of this machine"),
            (["--workspace", "s3://b/w", "-p", "train_epochs"], "parameter 'train_epochs' has no value: .* name=value"),
            (
                ["--workspace", "s3://b/w", "-p", "train_epoch=3"],
                "no parameter 'train_epoch'; close to it: train_epochs",
            ),
            (["--workspace", "s3://b/w", "-p", "train_epochs=many"], "train_epochs takes a whole number, got 'many'"),
            (
                ["--workspace", "s3://b/w", "-p", "source_uri=s3://b/c", "-p", "train_epochs=0"],
                "train.epochs: ",
            ),
        ],
    )
    def test_what_does_not_fit(self, given, message):
        with pytest.raises(ConfigError, match=message):
            self.of(*given)


class TestOrder:
    def of(self, *given, platform=None):
        return kubeflow_options.order_of(parsed(*given), {}, platform or Platform(), None, name="n")

    def test_experiment(self, monkeypatch):
        assert self.of().experiment == "lstfill"
        monkeypatch.setenv("KF_PIPELINES_DEFAULT_EXPERIMENT_NAME", "of the team")
        assert self.of().experiment == "of the team"
        assert self.of("--experiment", "mine").experiment == "mine"
        monkeypatch.setenv("KF_PIPELINES_OVERRIDE_EXPERIMENT_NAME", "of the operator")
        assert self.of("--experiment", "mine").experiment == "of the operator"

    def test_service_account(self):
        platform = Platform(service_account="of-the-platform")
        assert self.of().service_account is None
        assert self.of(platform=platform).service_account == "of-the-platform"
        assert self.of("--service-account", "mine", platform=platform).service_account == "mine"


class TestPackage:
    def test_is_compiled_with_the_images_given(self):
        platform = kubeflow_options.platform_of(parsed("--registry", "registry.example.org/x", "--tag", "abc123"))
        with kubeflow_options.package(platform) as path:
            spec, _ = yaml.safe_load_all(path.read_text())
        images = {of["container"]["image"] for of in spec["deploymentSpec"]["executors"].values()}
        assert images == {f"registry.example.org/x/lstfill-python{kind}:abc123" for kind in ("", "-ml")}
        assert not path.exists()

    def test_what_does_not_compile_is_a_message(self, monkeypatch):
        def refusing(*_):
            raise TypeError("Cannot compile pipeline")

        monkeypatch.setattr(compiling, "compile_pipeline", refusing)
        with (
            pytest.raises(LstfillError, match="does not compile with these settings: Cannot compile pipeline"),
            kubeflow_options.package(Platform()),
        ):
            pytest.fail("there is no package")


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("2.5", 2.5), ("1e3", 1000)])
def test_seconds(text, value):
    assert kubeflow_options.seconds(text) == value


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "two", ""])
def test_no_seconds(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is no number of seconds"):
        kubeflow_options.seconds(text)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "one"])
def test_no_count(text):
    assert kubeflow_options.count("12") == 12
    with pytest.raises(argparse.ArgumentTypeError, match="is no whole number above 0"):
        kubeflow_options.count(text)


def test_a_run_without_a_name_gets_the_time():
    assert kubeflow_options.run_name().startswith("lstfill 20")
