"""The one place where science meets I/O: a module a step, addresses in, a pointer out.

Each module has ``run(section, *, inputs..., output)``. Heavy imports stay inside functions, so that a light step does
not pay for the others.
"""

from lstfill.steps.task import publish_scores, run_task

__all__ = ["publish_scores", "run_task"]
