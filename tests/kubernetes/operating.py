"""The real Dask operator, run in a thread against the double."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from tests.kubernetes.double import NAMESPACE, Double, running_double

TIMER_S = 0.5
"""How often the operator looks at idleness and load here; by itself every 5 s."""


@contextlib.contextmanager
def running_operator(folder: Path) -> Iterator[Double]:
    """A double with the operator at work, and this process pointed at it."""
    import kopf
    from kopf.testing import KopfRunner

    # The official client reads the variable once, when it is imported.
    location = "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION"
    with (
        running_double(folder) as double,
        mock.patch.dict("os.environ", {"KUBECONFIG": str(double.kubeconfig)}),
        mock.patch(location, str(double.kubeconfig)),
        _quick_timers(),
    ):
        command = ["run", "-m", "dask_kubernetes.operator.controller", "--namespace", NAMESPACE, "--standalone"]
        # A deletion that meets a timer at work is looked at again after a minute by itself.
        settings = kopf.OperatorSettings()
        settings.background.cancellation_polling = TIMER_S
        with KopfRunner(command, timeout=30, settings=settings):
            yield double


@contextlib.contextmanager
def _quick_timers() -> Iterator[None]:
    import kopf
    from dask_kubernetes.operator.controller import controller  # noqa: F401 - what registers the timers

    handlers = kopf.get_default_registry()._spawning._handlers
    quick = [dataclasses.replace(handler, interval=TIMER_S) for handler in handlers]
    with mock.patch.object(kopf.get_default_registry()._spawning, "_handlers", quick):
        yield
