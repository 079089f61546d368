"""Workers by the kind that the configuration names: opened, lent out as an engine, closed in every ending."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

from lstfill.compute.engine import Engine, each
from lstfill.compute.memory import bound_arenas
from lstfill.config import Cluster
from lstfill.errors import LstfillError

CONNECT_TIMEOUT_S = 20
"""How long a scheduler may take to answer, in s."""


@contextlib.contextmanager
def cluster(config: Cluster) -> Iterator[Engine]:
    """Opens the workers of a configuration and closes them in every ending.

    Args:
        config: kind, number of workers, and what the kind needs.

    Raises:
        LstfillError: if a scheduler does not answer, or Kubernetes does not give the pods.
    """
    bound_arenas()
    opened = {"threads": _threads, "local": _local, "scheduler": _scheduler, "kubernetes": _kubernetes}[config.kind]
    with opened(config) as engine:
        yield engine


@contextlib.contextmanager
def _threads(config: Cluster) -> Iterator[Engine]:
    pool = ThreadPoolExecutor(config.workers, thread_name_prefix="lstfill")
    try:
        yield Engine(
            lambda function: nullcontext(lambda task: pool.submit(each, function, task)), lambda: config.workers
        )
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _local(config: Cluster) -> Iterator[Engine]:
    from distributed import Client, LocalCluster

    from lstfill.compute.sharing import engine_of

    processes = LocalCluster(
        n_workers=config.workers,
        threads_per_worker=config.threads_per_worker,
        memory_limit=config.memory_limit or "auto",
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",  # None is the default port, for which two runs would contend
        silence_logs=logging.ERROR,
    )
    with processes, Client(processes) as client:
        yield engine_of(client)


@contextlib.contextmanager
def _scheduler(config: Cluster) -> Iterator[Engine]:
    from distributed import Client

    from lstfill.compute.sharing import engine_of

    try:
        client = Client(config.address, timeout=CONNECT_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise LstfillError(
            f"no Dask scheduler answers at {config.address} within {CONNECT_TIMEOUT_S} s ({type(error).__name__}): "
            "check cluster.address, or use cluster.kind 'threads'"
        ) from error
    with client:
        yield engine_of(client)


@contextlib.contextmanager
def _kubernetes(config: Cluster) -> Iterator[Engine]:
    try:
        from lstfill.compute.kubernetes import opened
        from lstfill.compute.sharing import engine_of
    except ImportError as error:
        raise LstfillError(
            f"cluster.kind 'kubernetes' needs a package that is not installed ({error}): "
            "pip install 'lstfill[kubernetes]', or use cluster.kind 'local'"
        ) from error
    with opened(config) as client:
        # Counted from the configuration: what waits at the scheduler is the reason for a cluster to grow.
        yield engine_of(client, config.capacity)
