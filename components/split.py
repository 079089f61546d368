"""Split: train, validation, test, and held-out gaps."""

from kfp import dsl

from components.image import light


@light()
def split(
    workspace: str,
    split_kind: str,
    split_block: dict,
    split_fractions: dict,
    split_buffer: dict,
    split_balance: bool,
    split_seed: int,
    split_held_out_gaps: dict,
    cluster: dict,
    cube: dsl.Input[dsl.Dataset],
    land: dsl.Input[dsl.Dataset],
    parts: dsl.Output[dsl.Dataset],
) -> None:
    """Assigns cells to train, validation and test, and hides the held-out gaps."""
    from lstfill.steps import run_task

    options = {"kind": split_kind, "block": split_block, "fractions": split_fractions, "buffer": split_buffer}
    run_task(
        "split",
        workspace,
        inputs={"cube": cube, "land": land},
        output=parts,
        split={**options, "balance": split_balance, "seed": split_seed, "held_out_gaps": split_held_out_gaps},
        cluster=cluster,
    )
