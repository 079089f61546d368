import pytest

from lstfill.compute.kubernetes.diagnosis import is_crashing, is_ready, said_by, trouble


def pod(container=None, **status):
    entries = [{"name": "worker", "image": "i:1", "restartCount": 0} | container] if container else []
    return {"metadata": {"name": "p"}, "status": {"phase": "Pending", "containerStatuses": entries} | status}


def waiting(reason, message="told"):
    return {"state": {"waiting": {"reason": reason, "message": message}}}


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull"])
def test_an_image_that_is_not_there_is_named(reason):
    told = trouble(pod(waiting(reason, "not found")))
    assert told.startswith(f"pod p waits in {reason} for image i:1 (not found): check cluster.image")


def test_a_secret_that_is_missing_is_named():
    told = trouble(pod(waiting("CreateContainerConfigError", 'secret "lstfill-s3" not found')))
    assert 'secret "lstfill-s3" not found' in told
    assert "manifests/ has it" in told


def test_a_command_that_is_not_in_the_image():
    assert "no entry point" in trouble(pod(waiting("RunContainerError", "exec: dask: not found")))


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing"])
def test_what_passes_by_itself_is_no_trouble(reason):
    assert trouble(pod(waiting(reason))) is None
    assert said_by(pod(waiting(reason))) == f"pod p: Pending, {reason}"


def test_a_container_that_ends_again_and_again():
    ended = {"restartCount": 3, "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}, "state": {}}
    told = trouble(pod(ended))
    assert "ended 3 times, last with OOMKilled (exit code 137)" in told
    assert is_crashing(pod(ended))
    assert is_crashing(pod(waiting("CrashLoopBackOff")))
    assert trouble(pod(ended | {"restartCount": 2})) is None


def test_a_pod_without_a_node_says_why():
    unplaced = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available: 3 Insufficient memory."}
    assert trouble(pod(conditions=[unplaced])) is None
    assert said_by(pod(conditions=[unplaced])) == f"pod p finds no node ({unplaced['message']})"


def test_ready_is_what_the_condition_says():
    ready = pod({"state": {"running": {}}}, phase="Running", conditions=[{"type": "Ready", "status": "True"}])
    assert is_ready(ready)
    assert said_by(ready) == "pod p: Running, is ready"
    assert not is_ready(pod(conditions=[{"type": "Ready", "status": "False"}]))
    assert not is_ready({"metadata": {"name": "p"}})


def test_a_pod_that_has_said_nothing_yet():
    assert trouble({"metadata": {"name": "p"}}) is None
    assert said_by({"metadata": {"name": "p"}}) == "pod p: no phase, is not ready"
