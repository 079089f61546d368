"""Models of neighbours on a part of the cube: what a tile costs, what a worker holds, whether tiles leave seams."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import cubes
from benchmarks.chain import Chain
from benchmarks.measure import measured
from benchmarks.setting import Setting

if TYPE_CHECKING:
    from lstfill.cube.tiles import Tiling

Box = tuple[float, float, float, float]

MODELS = ("linear", "harmonic", "boosting", "local", "ensemble")
BOX: Box = (20, 40, 60, 60)
"""West, south, east, north of the part that is filled: 480 x 240 cells of the published use case, nearly all land."""
SMALL_BOX: Box = (40, 50, 56, 58)
"""The part that is filled on many dates: two tiles."""
TIMES = 5
"""How often the cube's dates come there: 50, where a year of eight-day dates has 46."""
YEAR_DATES = 46
TILES = {"side": 96, "overlap": 16}
CALIBRATION = {"tiles": 4, "rounds": 1}


def run(
    setting: Setting, models: Sequence[str] = MODELS, box: Box = BOX, small_box: Box = SMALL_BOX, times: int = TIMES
) -> dict[str, Any]:
    """Fits and fills with each model, few tiles being calibrated on; then fills the small part on many dates.

    Args:
        setting: the cube.
        models: names.
        box: part of the cube to fill.
        small_box: part of the long cube to fill.
        times: how often the cube's dates come in the long one.
    """
    longer = cubes.repeat(setting.cube, setting.scratch / "longer.zarr", times)
    found = {
        "cube": cubes.describe(setting.cube),
        "box": list(box),
        "models": _models(setting, models, box, None),
        "long": _models(setting, models, small_box, str(longer)),
        "globe": measured("benchmarks.tiles:tiles_of_the_globe", {"shape": list(cubes.SHAPE)}).value,
    }
    shutil.rmtree(longer)
    return found | {"year_cpu_h": year_cpu_h(found)}


def _models(setting: Setting, models: Sequence[str], box: Box, uri: str | None) -> dict[str, dict[str, Any]]:
    """What each model took on the same cells, and how good and how smooth it is."""
    source = {"bbox_deg": list(box), **({} if uri is None else {"uri": uri})}
    first, shared = prepared(setting, f"tiles-{'short' if uri is None else 'long'}", source)
    found = {}
    for name in models:
        own = replace(chain(setting, name, f"{first.root.name}-{name}", source), elsewhere=shared)
        rows = {step: one.row() for step, one in own.run_all(("train", "predict")).items()}
        found[name] = rows | measured("benchmarks.tiles:look", {"places": own.places}, env=setting.env).value
        found[name]["tile_cpu_s"] = rows["predict"]["cpu_s"] / found[name]["tiles"]
        shutil.rmtree(own.root)
    shutil.rmtree(first.root)
    return found


def prepared(setting: Setting, name: str, source: Mapping[str, Any]) -> tuple[Chain, dict[str, str]]:
    """A chain that was run as far as its samples, and the stores that chains of several models can share.

    Args:
        setting: the cube.
        name: of the workspace's directory, which the caller removes.
        source: further keys of the section ``source``.
    """
    first = chain(setting, "linear", name, source)
    first.run_all(("ingest", "mask", "split", "preprocess"))
    return first, {name: first.places[name] for name in ("cube", "land", "parts", "samples")}


def chain(setting: Setting, model: str, name: str, source: Mapping[str, Any]) -> Chain:
    """A workspace for a model of tiles, of the benches' own size and calibrated on few.

    Args:
        setting: the cube.
        model: its name.
        name: of the workspace's directory.
        source: further keys of the section ``source``.
    """
    train = {"model": model, "tiles": TILES, "calibration": CALIBRATION}
    return replace(setting, config={**(setting.config or {}), "train": train}).chain(name, **source)


def year_cpu_h(found: Mapping[str, Any]) -> dict[str, float]:
    """Processor time in h to fill a year of all land, in proportion to dates and tiles, by model."""
    dates = {name: of["dates"] for name, of in found["long"].items()}
    return {
        name: of["tile_cpu_s"] * found["globe"] * YEAR_DATES / dates[name] / 3600 for name, of in found["long"].items()
    }


def tiles_of_the_globe(shape: Sequence[int]) -> float:
    """Land of a global grid in whole tiles; tiles of the coast cost about what their land does."""
    from lstfill import mask

    _, rows, columns = shape
    lat, lon = (end - (np.arange(n) + 0.5) * (2 * end / n) for end, n in ((90.0, rows), (180.0, columns)))
    return float(mask.land(lat, lon).sum() / TILES["side"] ** 2)


def look(places: Mapping[str, str]) -> dict[str, Any]:
    """Tiles, dates, seams of a filled cube.

    Args:
        places: addresses of work cube, mask and filled cube on disk.
    """
    import zarr

    from lstfill.steps.reader import Reader
    from lstfill.steps.tiling import land_of_tiles

    reader = Reader.open(places["cube"], places["land"])
    tiling = _tiling(reader.grid.shape)
    group: Any = zarr.open_group(places["filled"], mode="r")
    filled = np.isin(group[f"{reader.target}_source"][:], [1, 2])
    land = sum(land_of_tiles(tiling, reader).values())
    return {
        "tiles": land / TILES["side"] ** 2,
        "dates": reader.grid.shape[0],
        "seams": seams(group[reader.target][:], filled, tiling),
    }


def _tiling(shape: tuple[int, int, int]) -> Tiling:
    from lstfill.cube.tiles import Tiling

    return Tiling.of(shape, TILES["side"], TILES["overlap"])


def seams(value: NDArray[np.floating], filled: NDArray[np.bool_], tiling: Tiling) -> dict[str, float]:
    """Mean jump between filled neighbours across the edges of tiles and of what they see, over that elsewhere.

    Args:
        value: ``(time, lat, lon)`` in K.
        filled: which of the values are not observed ``(time, lat, lon)``.
        tiling: the tiles.

    Returns:
        ``core`` and ``outer``: the ratio at either kind of edge; 1 without any such edge.
    """
    jumps: dict[str, list[NDArray[np.floating]]] = {"core": [], "outer": [], "inside": []}
    for axis, cuts in ((1, tiling.lat), (2, tiling.lon)):
        jump = np.moveaxis(np.abs(np.diff(value, axis=axis)), axis, 0)
        both = np.moveaxis(np.diff(filled.astype(np.int8), axis=axis) == 0, axis, 0)
        both &= np.moveaxis(filled, axis, 0)[1:]
        ends = [cuts.outer(tile) for tile in range(len(cuts))]
        places = {"core": {*cuts.edges}, "outer": {edge for end in ends for edge in (end.start, end.stop)}}
        where = np.full(len(jump), "inside", dtype="<U6")
        for name, edges in places.items():
            where[[edge - 1 for edge in edges if 0 < edge < cuts.edges[-1]]] = name
        for name, found in jumps.items():
            found.append(jump[where == name][both[where == name]])
    inside = float(np.concatenate(jumps["inside"]).mean())
    return {name: _mean(jumps[name], inside) / inside for name in ("core", "outer")}


def _mean(jumps: Sequence[NDArray[np.floating]], otherwise: float) -> float:
    joined = np.concatenate(list(jumps))
    return float(joined.mean()) if joined.size else otherwise
