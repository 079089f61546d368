"""What all commands share: the terminal, and files that are tried before the work."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from lstfill.errors import LstfillError

console = Console(highlight=False, soft_wrap=True)


def prepare(file: Path | None) -> None:
    """Tries before the work that a file can be written after it; what an older run left there goes."""
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("", encoding="utf-8")
    except OSError as error:
        raise LstfillError(f"cannot write {file}: {error.strerror or error}; name another file") from None
