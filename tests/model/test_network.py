import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstfill.model import network as networks


def layers_of(sizes, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(
        (rng.normal(0, 1, (of, to)).astype("float32"), rng.normal(0, 1, to).astype("float32"))
        for of, to in itertools.pairwise(sizes)
    )


@pytest.mark.parametrize("sizes", [(1, 1), (3, 5, 1), (2, 8, 8, 1)])
def test_forward_is_a_chain_of_matrix_products(sizes):
    layers, inputs = layers_of(sizes), np.random.default_rng(1).normal(size=(sizes[0], 2500)).astype("float32")
    value = inputs.T.astype("float64")
    for number, (kernel, bias) in enumerate(layers):
        value = value @ kernel + bias
        value = value if number == len(layers) - 1 else np.maximum(value, 0)
    np.testing.assert_allclose(networks.forward(layers, inputs), value[:, 0], rtol=1e-4, atol=1e-4)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 3000), st.integers(0, 2999))
def test_a_cells_bits_do_not_depend_on_the_others(size, row):
    layers, inputs = layers_of((4, 16, 1)), np.random.default_rng(2).normal(size=(4, size)).astype("float32")
    row %= size
    alone = networks.forward(layers, inputs[:, row : row + 1])
    assert alone[0].tobytes() == networks.forward(layers, inputs)[row].tobytes()


def test_missing_stays_missing_and_spoils_no_other():
    layers = layers_of((2, 4, 1))
    inputs = np.array([[1.0, np.nan, 1.0], [2.0, 2.0, 2.0]], "float32")
    value = networks.forward(layers, inputs)
    assert np.isnan(value).tolist() == [False, True, False]
    assert value[0] == value[2]


def test_no_cells_at_all():
    assert networks.forward(layers_of((2, 4, 1)), np.zeros((2, 0), "float32")).shape == (0,)
