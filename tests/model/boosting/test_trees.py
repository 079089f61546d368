"""Trees: what they learn, when they stop, and that they come back from their file as they were."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from lstfill.model.boosting.trees import FEW, Samples, fit_spread, fit_trees, from_bytes, predict, to_bytes
from lstfill.modelconfig import Boosting

OPTIONS = Boosting(max_iter=80, min_samples_leaf=20)


def samples(n=4000, share=0.3, seed=0):
    """A step in one column; noise that grows with another; a column that tells nothing and is often missing."""
    rng = np.random.default_rng(seed)
    predictors = rng.uniform(0, 1, (n, 3)).astype("float32")
    target = np.where(predictors[:, 0] > 0.5, 3.0, -3.0) + rng.normal(size=n) * (0.2 + 2 * predictors[:, 1])
    predictors[rng.random(n) < 0.5, 2] = np.nan
    return Samples(predictors, target, (rng.random(n) < share).astype("int8"))


def test_trees_learn_the_step():
    trees = fit_trees(samples(), OPTIONS, 0).trees
    low, high = predict(trees, np.array([[0.2, 0.5, np.nan], [0.8, 0.5, 0.1]], "float32"))
    assert low == pytest.approx(-3, abs=0.5)
    assert high == pytest.approx(3, abs=0.5)


def test_dates_left_out_stop_the_fit_if_there_are_enough():
    many = fit_trees(samples(share=0.3), OPTIONS, 0)
    assert many.trees.n_iter_ == round(np.mean([of.n_iter_ for of in many.without.values()])) < OPTIONS.max_iter
    few = fit_trees(samples(share=FEW / 4000 / 4), OPTIONS, 0)
    assert few.without[1].n_iter_ == OPTIONS.max_iter


def test_each_row_is_judged_by_trees_that_have_not_seen_its_dates():
    made = samples()
    wild = Samples(made.predictors, np.where(made.part == 1, 50.0, made.target), made.part)
    found, other = fit_trees(made, OPTIONS, 0), fit_trees(wild, OPTIONS.model_copy(update={"max_iter": 12}), 0)
    assert set(found.without) == {0, 1}
    for part in (0, 1):
        rows = made.part == part
        np.testing.assert_array_equal(found.apart[rows], predict(found.without[part], made.predictors[rows]))
    assert np.abs(other.apart[made.part == 1]).max() < 15


def test_of_one_part_alone_nothing_is_left_out():
    found = fit_trees(samples(share=0), OPTIONS, 0)
    assert found.without == {}
    assert found.trees.n_iter_ == OPTIONS.max_iter


@pytest.mark.parametrize("share", [0, 0.3])
def test_a_column_that_no_row_knows_tells_nothing(share):
    made = samples(share=share)
    unknown = np.full((len(made), 1), np.nan, "float32")
    found = fit_trees(Samples(np.hstack([made.predictors, unknown]), made.target, made.part), OPTIONS, 0)
    expected = predict(fit_trees(made, OPTIONS, 0).trees, made.predictors)
    for value in (np.nan, 7.0):
        with_it = np.hstack([made.predictors, np.full_like(unknown, value)])
        np.testing.assert_array_equal(predict(found.trees, with_it), expected)


def test_an_outlier_moves_nothing_far():
    wild = samples()
    wild.target[0] = 1e4 * wild.target.std()
    calm, moved = (predict(fit_trees(of, OPTIONS, 0).trees, of.predictors) for of in (samples(), wild))
    assert np.abs(calm - moved).mean() < 3


def test_the_spread_follows_the_noise_and_has_its_size():
    made = samples(20_000, share=0.5)
    found = fit_trees(made, OPTIONS, 0)
    trees = found.trees
    spread, factor = fit_spread(made, found.apart, OPTIONS, 0)
    new = samples(5000, seed=1)
    width = factor * np.exp(predict(spread, new.predictors))
    error = (new.target - predict(trees, new.predictors)) / width
    assert error.std() == pytest.approx(1, abs=0.15)
    assert width[new.predictors[:, 1] > 0.8].mean() > 2 * width[new.predictors[:, 1] < 0.2].mean()


def test_errors_of_nothing_give_a_spread_of_nearly_nothing():
    made = samples(500)
    spread, factor = fit_spread(made, made.target, OPTIONS, 0)
    assert (factor * np.exp(predict(spread, made.predictors)) < 1e-3).all()


def test_they_come_back_from_a_file_bit_for_bit():
    made = samples()
    trees = fit_trees(made, OPTIONS, 0).trees
    np.testing.assert_array_equal(
        predict(from_bytes(to_bytes(trees)), made.predictors), predict(trees, made.predictors)
    )


def test_their_bits_do_not_depend_on_threads():
    made = samples(1500)
    with threadpool_limits(1):
        one = predict(fit_trees(made, OPTIONS, 0).trees, made.predictors)
    with threadpool_limits(2):
        np.testing.assert_array_equal(predict(fit_trees(made, OPTIONS, 0).trees, made.predictors), one)
