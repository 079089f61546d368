"""Options of the split: blocks, shares, buffer, and the gaps that are held out for the scores."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lstfill.section import Count, Fraction, Maybe, Positive, Section


class Block(Section):
    """Size of a block of the split, in cells of the work cube."""

    time: Positive = Field(10, description="steps a block")
    lat: Positive = Field(100, description="rows a block")
    lon: Positive = Field(100, description="columns a block")


class Buffer(Section):
    """Cells left out of training next to validation and test, and of validation next to test."""

    time: Count = Field(0, description="steps")
    lat: Count = Field(0, description="rows")
    lon: Count = Field(0, description="columns")


class Fractions(Section):
    """Shares of the three parts; they add up to 1."""

    train: Fraction = Field(0.7, description="share the model is fitted on")
    validation: Fraction = Field(0.1, description="share that stops the fit early")
    test: Fraction = Field(0.2, description="share the scores are computed on")

    @model_validator(mode="after")
    def _add_up(self) -> Self:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(
                f"fractions add up to {total:g}, not 1: train {self.train:g}, "
                f"validation {self.validation:g}, test {self.test:g}"
            )
        if min(self.train, self.validation, self.test) == 0:
            raise ValueError("every part needs a share above 0: early stopping needs validation, the scores need test")
        return self


class HeldOutGaps(Section):
    """Observed values that are hidden before anything is fitted, to score the fill on gaps of real shape."""

    kind: Literal["none", "clouds", "given"] = Field(
        "none", description="none; clouds: the missing masks of other dates; given: a variable of the cube"
    )
    fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.05, description="for clouds: share of the observed values to hide"
    )
    truth: Maybe[str] = Field(None, description="for given: variable with the values behind the gaps")
    gap: Maybe[str] = Field(None, description="for given: variable that is true where a value is hidden")
    date: Maybe[str] = Field(
        None, description="for given: the date that truth and gap belong to, where they have no time of their own"
    )
    seed: Count = Field(0, description="seed of the draw of dates and places")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = {"truth": self.truth, "gap": self.gap}
        if self.kind == "given" and None in given.values():
            raise ValueError(f"kind 'given' needs the names of two variables, 'truth' and 'gap', got {given}")
        named = {key: value for key, value in {**given, "date": self.date}.items() if value is not None}
        if self.kind != "given" and named:
            raise ValueError(
                f"kind {self.kind!r} takes no 'truth', 'gap' or 'date', got {named}: they go with kind 'given'"
            )
        return self

    def variables(self) -> list[str]:
        """Names of the cube's variables that the held-out gaps are made from."""
        return [name for name in (self.truth, self.gap) if name]


class Split(Section):
    """Which cells train, validate and test."""

    kind: Literal["block", "random"] = Field(
        "block", description="whole blocks, or cell by cell (leaks between neighbours)"
    )
    block: Block = Field(Block(), description="size of a block")
    fractions: Fractions = Field(Fractions(), description="shares of the parts")
    buffer: Buffer = Field(Buffer(), description="cells between the parts that no part uses")
    balance: bool = Field(True, description="move whole blocks until each part's share holds in every latitude band")
    seed: Count = Field(0, description="seed of the draw; the same seed gives the same split everywhere")
    held_out_gaps: HeldOutGaps = Field(HeldOutGaps(), description="artificial gaps for the scores")

    @model_validator(mode="after")
    def _buffer_fits(self) -> Self:
        for name in ("time", "lat", "lon"):
            width, size = getattr(self.buffer, name), getattr(self.block, name)
            if width and self.kind == "random":
                raise ValueError(
                    f"buffer.{name} is {width}, but a random split has no blocks to keep apart: use kind 'block'"
                )
            if width >= size:
                raise ValueError(
                    f"buffer.{name} is {width}, not smaller than block.{name} {size}: nothing would be left"
                )
        return self
