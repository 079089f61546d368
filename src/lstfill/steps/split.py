"""Split: which cells train, validate and test, and which observed values are held out."""

from __future__ import annotations

import functools
import uuid
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lstfill import compute
from lstfill import split as splits
from lstfill.artifacts import Pointer
from lstfill.compute import Engine
from lstfill.config import Cluster, HeldOutGaps, Split
from lstfill.cube import Chunk, Window, chunk_windows, is_global_lon
from lstfill.split import GapTable, SplitTable
from lstfill.steps.provenance import describe, pointer_to, refuse_own_input
from lstfill.steps.reader import Grid, Reader, Triple, columns_of, require
from lstfill.storage import stores


@dataclass(frozen=True)
class _Hidden:
    """How the held-out gaps of one window are found.

    Attributes:
        table: gaps of cloud shape, or None.
        gap: name of the variable that says where; None for gaps of cloud shape.
        truth: name of the variable behind it.
        step: position of the date that these two belong to, where they have no time of their own.
        run: names this run to the store that is written.
    """

    table: GapTable | None
    gap: str | None
    truth: str | None
    step: int | None = None
    run: str = field(default_factory=lambda: uuid.uuid4().hex)

    def cells(self, reader: Reader, chunk: Chunk) -> NDArray[np.bool_] | None:
        """Cells to hide ``(time, lat, lon)``; None if nothing is held out."""
        if self.table is not None:
            return self.table.held_out_in(chunk)
        if self.gap is None or self.truth is None:
            return None
        values = reader.read(chunk.window, [self.gap, self.truth])
        gap, truth = (splits.on_step(values[name], self.step, chunk.window) for name in (self.gap, self.truth))
        return splits.given(gap, truth, chunk.land)


def run(split: Split, *, cube: str, land: str, output: str, cluster: Cluster | None = None) -> Pointer:
    """Writes the table of blocks, and the held-out gaps where there are any.

    Args:
        split: kind, blocks, fractions, buffer, balance, seed and held-out gaps.
        cube: address of the work cube.
        land: address of the mask.
        output: address of the split.
        cluster: where windows are counted.

    Returns:
        A pointer whose facts say which shares were reached and how much is held out.

    Raises:
        StoreError: if an input is missing or not whole, or the output cannot be written.
        DataError: if a part is empty, or there is nothing to hold out.
    """
    refuse_own_input(output, cube, land)
    reader = Reader.open(cube, land)
    require(cube, split.held_out_gaps.variables(), "for split.held_out_gaps")
    windows = _windows(split, reader.grid)
    shape = windows[0].shape
    windows = [window for window in windows if reader.land_in(window).any()]  # nothing is learnt or held out elsewhere
    table = splits.draw_blocks(reader.grid.shape, split, periodic_lon=is_global_lon(reader.grid.lon))
    with compute.cluster(cluster or Cluster()) as engine:
        hidden = _hidden(split, reader, engine, windows)
        _create(output, table, reader, hidden, shape)
        counted = list(engine.map(functools.partial(_count, reader, table, hidden, output), windows))
        by_block = splits.sum_counts(table, [counts for counts, _ in counted])
        table = splits.balance(table, by_block) if split.balance else table
        # A buffer or a random split cuts blocks, and has to be counted cell by cell.
        by_part = (
            splits.parts_of_blocks(table, by_block)
            if table.whole_blocks
            else np.sum(list(engine.map(functools.partial(_count_parts, reader, table, hidden), windows)), axis=0)
        )
    held_out = sum(n for _, n in counted)
    if split.held_out_gaps.kind == "given":
        splits.assert_given(held_out, split.held_out_gaps)
    splits.assert_no_empty(table, by_part)
    table = splits.reached(table, by_part)
    return _commit(split, table, hidden, held_out, cube, land, output)


def _windows(split: Split, grid: Grid) -> list[Window]:
    """Chunks, which are read once; gaps of cloud shape need a cell's whole series, for which long chunks are cut."""
    return columns_of(grid) if split.held_out_gaps.kind == "clouds" else chunk_windows(grid.shape, grid.chunks)


def _hidden(split: Split, reader: Reader, engine: Engine, windows: list[Window]) -> _Hidden:
    gaps = split.held_out_gaps
    if gaps.kind != "clouds":
        return _Hidden(None, gaps.gap, gaps.truth, _step(gaps, reader))
    plan = splits.plan_gaps(reader.grid.shape, split)
    counts = engine.map(functools.partial(_candidates, reader, plan), windows)
    return _Hidden(splits.choose(plan, counts), None, None)


def _step(gaps: HeldOutGaps, reader: Reader) -> int | None:
    with stores.open_whole(reader.cube) as ds:
        timeless = [name for name in gaps.variables() if "time" not in ds[name].dims]
    return splits.step_of(gaps, timeless, reader.grid.time)


def _candidates(reader: Reader, plan: splits.GapPlan, window: Window) -> splits.TileCounts:
    return splits.count_candidates(reader.chunk(window), plan)


def _create(output: str, table: SplitTable, reader: Reader, hidden: _Hidden, window: Triple) -> None:
    """Starts the store; a mask over the whole cube only where something is held out, in chunks a window can write."""
    import xarray as xr

    grid = reader.grid
    template = replace(table, report={}).to_dataset()  # what was reached is known at the end, and in the provenance
    chunks: dict[str, tuple[int, ...]] = {}
    if hidden.table is not None or hidden.gap is not None:
        nothing = np.broadcast_to(np.zeros((), bool), grid.shape)
        attrs = {"long_name": "values hidden from everything before scoring"}
        template["held_out"] = xr.Variable(("time", "lat", "lon"), nothing, attrs)
        template = template.assign_coords(time=grid.time, lat=grid.lat, lon=grid.lon)
        chunks["held_out"] = (grid.chunks[0], window[1], grid.chunks[2])
    stores.create(output, template, chunks=chunks, zarr_format=3)


def _chunk(reader: Reader, hidden: _Hidden, window: Window) -> Chunk:
    chunk = reader.chunk(window)
    return replace(chunk, held_out=hidden.cells(reader, chunk))


def _count(
    reader: Reader, table: SplitTable, hidden: _Hidden, output: str, window: Window
) -> tuple[splits.BlockCounts, int]:
    """Writes what is held out in one window, and counts what is left to learn from."""
    chunk = _chunk(reader, hidden, window)
    if chunk.held_out is None:
        return splits.count_usable(chunk, table), 0
    stores.write(output, window, {"held_out": chunk.held_out}, run=hidden.run)
    return splits.count_usable(chunk, table), int(np.count_nonzero(chunk.held_out))


def _count_parts(reader: Reader, table: SplitTable, hidden: _Hidden, window: Window) -> NDArray[np.int64]:
    return splits.count_parts(_chunk(reader, hidden, window), table)


def _commit(
    split: Split, table: SplitTable, hidden: _Hidden, held_out: int, cube: str, land: str, output: str
) -> Pointer:
    final = table.to_dataset()
    for name in final.data_vars:
        stores.write_static(output, str(name), final[name].to_numpy())
    facts = {
        "grid": stores.provenance(cube)["facts"]["grid"],
        "table": dict(final.attrs),
        "report": table.report,
        "held_out": held_out,
        "held_out_report": hidden.table.report if hidden.table else {},
        "truth": split.held_out_gaps.truth,
        "truth_step": hidden.step,
    }
    provenance = describe("split", section=split, inputs={"cube": cube, "land": land}, facts=facts)
    stores.commit(output, provenance)
    return pointer_to(output, provenance)
