"""Variables that are normalised as they are read, part by part, without dask and without a copy of the cube."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lstfill.cube.normalise import Recipe


class _Normalised(BackendArray):
    """A source's variable behind its recipe, indexed the way a file format's variables are in xarray."""

    def __init__(self, variable: xr.Variable, recipe: Recipe) -> None:
        self._variable = variable
        self._recipe = recipe
        self.dtype = recipe.dtype
        self.shape = tuple(variable.sizes[dim] for dim in recipe.dims)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        return self._recipe.read(self._variable, dict(zip(self._recipe.dims, key, strict=True)))[0]


def lazy_variable(variable: xr.Variable, recipe: Recipe, attrs: dict[Any, Any]) -> xr.Variable:
    """A variable of the work cube that reads and normalises what is asked of it, when it is asked.

    Args:
        variable: the source's variable, itself lazy or in memory.
        recipe: what to do with its values.
        attrs: attributes of the new variable.
    """
    return xr.Variable(recipe.dims, indexing.LazilyIndexedArray(_Normalised(variable, recipe)), attrs)
