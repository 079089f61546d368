"""The one door to parallel work: threads of the step, processes of this machine, a Dask cluster, pods of Kubernetes.

Science never knows which. A function is mapped over items, results come back in the items' order, and only a few items
are in flight at a time, so that memory is bounded by chunks and not by the cube.
"""

from lstfill.compute.engine import IN_FLIGHT_PER_WORKER, Engine
from lstfill.compute.kinds import cluster
from lstfill.compute.memory import bound_arenas

__all__ = ["IN_FLIGHT_PER_WORKER", "Engine", "bound_arenas", "cluster"]
