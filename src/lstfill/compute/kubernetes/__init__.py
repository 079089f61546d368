"""Dask on Kubernetes, by the Dask operator: pods like the step's own, for as long as the step lives."""

from lstfill.compute.kubernetes.opening import opened

__all__ = ["opened"]
