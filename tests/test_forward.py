"""Folded networks over raw rows, block by block."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from sklearn_sketchgn import _diagnosis
from sklearn_sketchgn._forward import last_hidden, network_blocks


def layers(rng, *widths):
    pairs = zip(widths[:-1], widths[1:], strict=True)
    return [rng.standard_normal(pair) for pair in pairs], [
        rng.standard_normal(w) for w in widths[1:]
    ]


@pytest.mark.parametrize("widths", [(3, 5), (3, 4, 6), (3, 4, 2, 7)])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csr_matrix])
@pytest.mark.parametrize("bounded", [False, True])
def test_the_last_layer_is_that_of_a_plain_forward_pass(widths, container, bounded, rng):
    X = rng.standard_normal((20, 3)) * rng.integers(0, 2, (20, 3))
    coefs, intercepts = layers(rng, *widths)
    bounds = np.array([[-0.5, -1.0, 0.2], [0.5, 1.0, 0.9]]) if bounded else None
    expected = np.clip(X, *bounds) if bounded else X
    for coef, intercept in zip(coefs, intercepts, strict=True):
        expected = np.maximum(expected @ coef + intercept, 0)
    before = X.copy()
    found = last_hidden(container(X), coefs, intercepts, bounds)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_array_equal(X, before)


def test_blocks_are_of_32_megabytes_in_the_widest_layer():
    coefs = [np.empty((10, 4096)), np.empty((4096, 1))]
    blocks = network_blocks(np.empty((5000, 10)), coefs)
    assert [block.stop - block.start for block in blocks] == [1024] * 4 + [904]
    narrow = [np.empty((2**20, 8)), np.empty((8, 1))]
    assert len(network_blocks(sp.csr_array((5000, 2**20)), narrow)) == 1  # never made dense
    assert network_blocks(np.broadcast_to(0.0, (5000, 2**20)), narrow)[0].stop == 64


def test_wide_networks_do_not_take_memory_for_all_rows_when_neurons_are_counted(rng):
    X, (coefs, intercepts) = rng.standard_normal((8192, 2)), layers(rng, 2, 4000, 1)
    tracemalloc.start()
    try:
        _diagnosis.count_dead(X, coefs, intercepts)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * 8192 * 4000 / 3
