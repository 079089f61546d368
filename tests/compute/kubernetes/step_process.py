"""A step in a process of its own, which a test ends: opens a cluster and works until it is stopped."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from lstfill import compute
from lstfill.compute.kubernetes import template
from tests.compute.kubernetes.pods import pods
from tests.kubernetes.names import resolved_by


def work(item: int) -> int:
    """Takes a moment."""
    time.sleep(0.2)
    return item


def main(url: str, account: str, options: str) -> None:
    """Says when the first result is there, then goes on."""
    template.SERVICE_ACCOUNT = Path(account)
    with resolved_by(url), compute.cluster(pods(**json.loads(options))) as engine:
        for item in engine.map(work, range(10_000)):
            if item == 0:
                sys.stdout.write("at work\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
