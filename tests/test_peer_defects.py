"""What went wrong in an earlier toolkit for the same job, and the test that would catch it here.

Every line of the table names a defect and a test; that each test exists is itself tested below. Where no test did, it
follows in this file. Defects of features that there are none of here (windowed samples, one regression a pixel, other
frameworks) have no line.

Mask
    values over sea ice become samples of land: tests/preprocess/test_samples.py::test_sea_with_values_is_never_a_sample
    the mask is forgotten on the way from cube to samples:
        tests/steps/test_preprocess.py::test_every_usable_cell_of_a_part_is_a_sample_once
    values off the mask decide the fit: tests/steps/test_no_leak.py::test_the_model_does_not_change_a_bit
    values off the mask are scored: tests/evaluate/test_evaluator.py::test_values_off_the_mask_are_never_scored
    the sea is filled, or land is left: tests/steps/test_predict.py::test_no_land_cell_is_left_and_no_sea_cell_is_filled
    a cube in one chunk, or with bounds, cannot be masked:
        tests/steps/test_ingest.py::test_format_and_chunks_of_the_source_make_no_difference
        tests/steps/test_ingest.py::test_bounds_and_variables_nobody_asked_for_stay_behind
    the order of dimensions is taken from the dataset: tests/steps/test_ingest.py::test_order_of_dimensions_is_put_right
    gaps of variables that nobody uses drop samples:
        tests/steps/test_preprocess.py::test_gaps_of_unused_variables_drop_nothing

Split
    two computations give two splits: tests/split/test_blocks.py::test_same_seed_same_split
    the split that is drawn, stored and trained on differ:
        tests/steps/test_preprocess.py::test_every_usable_cell_of_a_part_is_a_sample_once
    chunks and threads change the draws:
        tests/steps/test_reproducible.py::test_split_held_out_gaps_and_mask_are_identical
    a border of chunks cuts a block: tests/split/test_blocks.py::test_blocks_are_whole
    a seed without effect: tests/steps/test_reproducible.py::test_seeds_make_a_difference
    few blocks miss the shares by far: tests/split/test_blocks.py::test_eighteen_blocks_reach_what_was_asked
    no balance over latitudes: tests/split/test_balance.py::test_every_part_has_its_share_of_every_band_within_2_points
    no space between blocks: tests/split/test_blocks.py::test_buffer_is_the_definition_cell_by_cell
    no validation part: tests/split/test_blocks.py::test_every_cell_has_one_part
    a split as large as the data: tests/split/test_blocks.py::test_forty_years_of_the_globe_are_a_small_table
    the size of one dimension's block is taken for another's: tests/test_peer_defects.py::test_a_block_is_set_by_name
    artificial gaps are single pixels: tests/split/test_gaps.py::test_each_gap_has_the_shape_of_its_donors_gap

Samples
    the first few chunks, in order, stand for the globe:
        tests/steps/test_preprocess.py::test_max_samples_is_kept_exactly_in_every_part_and_spread
        tests/steps/test_preprocess.py::test_the_order_is_random_and_not_that_of_the_map
    the tail of the samples is lost: tests/steps/test_preprocess.py::test_no_tail_is_lost_whatever_the_size_of_a_shard
    a second run appends duplicates: tests/steps/test_preprocess.py::test_a_second_run_of_each_step_appends_nothing
    samples without a place: tests/steps/test_preprocess.py::test_latitudes_and_lineage_come_along
    the test part reads the train part's samples:
        tests/steps/test_shards.py::test_shards_hold_every_sample_once_and_in_order
    everything in memory: tests/steps/test_preprocess.py::test_memory_holds_a_few_chunks_and_not_the_samples
    the cube is read again for every statistic:
        tests/steps/test_preprocess.py::test_samples_and_statistics_take_one_pass
    local paths only: tests/storage/test_stores.py::test_a_whole_store_gives_back_every_bit

Scaling and imputation
    statistics of train and test together:
        tests/steps/test_preprocess.py::test_statistics_and_scaling_are_those_of_the_train_part
    the target's gaps are imputed, and scored:
        tests/steps/test_preprocess.py::test_features_are_imputed_and_the_target_never
    each chunk is imputed with another mean: tests/steps/test_preprocess.py::test_one_imputed_value_whatever_the_chunks
    imputation that silently does nothing:
        tests/steps/test_predict.py::test_an_imputed_feature_is_filled_and_flagged_as_extrapolated
    the scaling is lost with the session: tests/model/test_linear.py::test_saved_and_loaded_is_the_same_model
    the caller must scale and scale back: tests/model/test_linear.py::test_takes_kelvin_and_gives_kelvin

Fit
    an epoch sees a fraction of the samples:
        tests/train/test_stream.py::test_every_sample_once_an_epoch_in_complete_batches
        tests/train/test_fit.py::test_every_sample_counts_in_every_epoch
    samples in the order of the map: tests/train/test_stream.py::test_shards_and_rows_are_both_mixed
    validation on the first bit of the part:
        tests/train/test_fit.py::test_validation_loss_is_that_of_the_whole_validation_part
    early stopping on the test part: tests/train/test_fit.py::test_the_test_part_is_not_in_the_view
    few samples make no steps at all: tests/train/test_fit.py::test_small_data_are_fitted_too
    weights never move: tests/steps/test_train.py::test_weights_leave_their_initial_values
    the last weights, not the best: tests/train/test_fit.py::test_the_best_weights_are_kept_in_every_ending
    more epochs make it worse: tests/train/test_fit.py::test_reaches_least_squares_within_a_permille
    logs that cannot be left out: tests/train/test_fit.py::test_without_a_directory_nothing_is_written
    nothing of the run is recorded: tests/steps/test_train.py::test_the_run_records_configuration_metrics_and_lineage
    defaults that fail: tests/steps/test_predict.py::test_defaults_alone_run_from_source_to_filled_cube

Scores
    prediction and observation exchanged:
        tests/evaluate/test_scores.py::test_bias_is_predicted_minus_observed_and_counts_against_r2
    vectors for scores, no bias: tests/evaluate/test_scores.py::test_scores_equal_the_naive_expressions
    no area weights: tests/evaluate/test_scores.py::test_weighting_by_latitude_equals_xarray
    no regions, seasons and gap sizes:
        tests/evaluate/test_evaluator.py::test_groups_equal_masked_scores_and_labels_come_in_natural_order
    nothing to compare with: tests/steps/test_evaluate.py::test_the_model_beats_every_baseline_on_a_planet_made_for_it
    one value that cannot be predicted voids the score:
        tests/evaluate/test_evaluator.py::test_a_baseline_that_cannot_predict_a_cell_is_scored_on_fewer_and_nothing_is_made_up
    scores far below the error of the fill: tests/steps/test_predict.py::test_the_score_says_how_wrong_the_fill_is

Filled cube
    the fill stays in the session: tests/steps/test_predict.py::test_it_is_a_cf_cube
    filled and observed cannot be told apart:
        tests/steps/test_predict.py::test_gaps_and_flags_are_those_of_the_naive_expression
    observed values change: tests/steps/test_predict.py::test_observed_values_are_kept_bit_for_bit
    a latitude axis of its own:
        tests/steps/test_predict.py::test_grid_direction_chunks_and_format_are_those_of_the_source
    extrapolation to 160 K goes unsaid:
        tests/steps/test_predict.py::test_cells_colder_than_all_that_was_trained_on_are_flagged
    a variable without a name of its own: tests/test_predict.py::test_names_follow_the_target
    encoding of the source fails on writing: tests/storage/test_stores.py::test_what_a_source_leaves_behind_does_no_harm

Maps
    upside down where latitude ascends: tests/evaluate/test_figures.py::test_north_is_up_and_east_is_right_on_the_page
    an extent from centres: tests/evaluate/test_figures.py::test_each_drawn_cell_lies_in_its_borders
    rows that are left out shift the axis:
        tests/evaluate/test_figures.py::test_rows_that_are_not_evenly_spaced_stand_where_they_belong
    the title names another variable: tests/evaluate/test_figures.py::test_titles_say_the_variable
    a window pops up: tests/train/test_figure.py::test_no_window_is_opened

Manners
    values are counted for gaps: tests/steps/test_ingest.py::test_facts_count_what_is_there
    attributes are taken for granted: tests/steps/test_predict.py::test_a_source_with_units_alone_is_enough
    a library prints and exits: tests/test_peer_defects.py::test_the_library_neither_prints_nor_exits
    a library silences all warnings: tests/test_peer_defects.py::test_importing_silences_no_warnings
    directories of others are wiped: tests/steps/test_provenance.py::test_what_others_have_put_there_is_left_alone
    dependencies that nobody declared: tests/test_peer_defects.py::test_all_that_is_imported_is_declared
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from lstfill.config import Block, Split

ROOT = Path(__file__).resolve().parents[1]
NAMED = re.findall(r"(tests/\S+\.py)::(\w+)", str(__doc__))


def names_in(file):
    """Names of the test functions of a file, those in classes too."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_test_of_the_table_exists():
    missing = [f"{file}::{name}" for file, name in NAMED if not (ROOT / file).exists() or name not in names_in(file)]
    assert missing == []
    assert len(NAMED) > 60


def test_every_test_of_this_file_is_in_the_table():
    here = {name for name in names_in("tests/test_peer_defects.py") if name.startswith("test_")}
    named = {name for file, name in NAMED if file == "tests/test_peer_defects.py"}
    assert here - named == {"test_every_test_of_the_table_exists", "test_every_test_of_this_file_is_in_the_table"}


def test_a_block_is_set_by_name():
    block = Split.model_validate({"block": {"lat": 7}}).block
    assert (block.time, block.lat, block.lon) == (Block().time, 7, Block().lon)


def sources():
    return sorted((ROOT / "src" / "lstfill").rglob("*.py"))


def test_the_library_neither_prints_nor_exits():
    found = []
    for file in sources():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called in ("print", "exit", "quit", "sys.exit", "os._exit"):
                found.append((file.relative_to(ROOT / "src" / "lstfill").as_posix(), called))
    # A command exits, and so does the child that becomes the object store.
    assert {file for file, _ in found} <= {"cli.py", "__main__.py", "storage/embedded.py"}
    assert "print" not in {called for _, called in found}


def test_importing_silences_no_warnings():
    code = (
        "import warnings; before = list(warnings.filters)\n"
        "import lstfill.steps.task, lstfill.steps.split, lstfill.steps.preprocess, lstfill.steps.ingest\n"
        "import lstfill.steps.train, lstfill.steps.evaluate, lstfill.steps.predict, lstfill.synthetic\n"
        "added = [f for f in warnings.filters if f not in before]\n"
        "assert not [f for f in added if f[0] == 'ignore' and f[1] is None and f[2] is Warning], added\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_all_that_is_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = [*project["dependencies"], *extras["ml"], *extras["kubernetes"]]
    direct = {_distribution(line) for line in declared}
    # What a declared package itself requires is there with it.
    there = _closure(direct)
    owners = importlib.metadata.packages_distributions()
    missing = {
        module
        for module in _imported()
        if module not in sys.stdlib_module_names and module != "lstfill"
        if not {_normal(owner) for owner in owners.get(module, [module])} & there
    }
    assert missing == set()


def _imported():
    for file in sources():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield str(node.module).partition(".")[0]


def _closure(names):
    """These distributions and all that they require, whatever it requires in turn."""
    found, new = set(), set(names)
    while new:
        found |= new
        new = {_distribution(line) for name in new for line in _requirements(name)} - found
    return found


def _requirements(name):
    try:
        return [line for line in importlib.metadata.requires(name) or [] if "extra ==" not in line]
    except importlib.metadata.PackageNotFoundError:
        return []  # of another platform


def _distribution(requirement):
    return _normal(re.match(r"[\w.-]+", requirement)[0])


def _normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()
