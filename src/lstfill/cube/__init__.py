"""The data contract: what a cube is, how it is checked and normalised, and which parts of it are worked on together."""

from lstfill.cube.chunk import Chunk
from lstfill.cube.windows import DIMS, Window, chunk_windows, column_windows

__all__ = ["DIMS", "Chunk", "Window", "chunk_windows", "column_windows"]
