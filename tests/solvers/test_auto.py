"""Which solver ``auto`` chooses, and what it carries from one step to the next."""

from types import SimpleNamespace

import numpy as np
import pytest

from sklearn_sketchgn import CG, CountSketch, Direct
from sklearn_sketchgn._jacobian import Jacobian
from sklearn_sketchgn.solvers import Auto, _auto
from tests import cases

WIDE = cases.Shape(150, 6, 400, 1)
TALL = cases.Shape(2000, 5, 20, 1)


def sizes(n, m, d, k=1, *, stable_rank=8.0, dtype=np.float32):
    """What the cost model reads from a Jacobian."""
    return SimpleNamespace(
        n_samples=n,
        n_features=d,
        width=m,
        n_outputs=k,
        train_output=True,
        shape=(n * k, m * (d + k) + k),
        stable_rank=lambda: stable_rank,
        dtype=np.dtype(dtype),
    )


def jacobian(shape, rng):
    return Jacobian(*cases.network_arrays(cases.ordinary_table, shape, rng))


@pytest.mark.parametrize("kept", [True, False])
def test_batches_and_small_tables_in_float64_are_solved_exactly(kept):
    for n, m, d in [(255, 256, 10), (1000, 1024, 5), (100_000, 64, 10)]:
        assert not _auto.cg_is_cheaper(sizes(n, m, d, dtype=np.float64), kept=kept)
        assert not _auto.cg_is_cheaper(sizes(255, m, d), kept=kept)


def test_a_small_table_in_float32_goes_on_with_a_factor_but_sketches_none():
    for n, m, d in [(8000, 64, 5), (500, 1024, 5)]:
        assert _auto.cg_is_cheaper(sizes(n, m, d), kept=True)
        assert not _auto.cg_is_cheaper(sizes(n, m, d), kept=False)


def test_a_kept_factor_wins_on_a_large_wide_network():
    assert _auto.cg_is_cheaper(sizes(8192, 16384, 32), kept=True)


def test_iterations_lose_where_there_are_many_inputs_and_few_rows():
    # A product takes 4 n m d operations, the exact matrix about 2 n^2 m, whatever d is.
    assert not _auto.cg_is_cheaper(sizes(1100, 4096, 200), kept=True)
    assert _auto.cg_is_cheaper(sizes(11_000, 4096, 200), kept=True)


def test_a_sketch_that_saves_nothing_is_not_chosen():
    # The factored side times four exceeds the width: the sketched matrix is the exact one.
    assert not _auto.cg_is_cheaper(sizes(4096, 512, 16, stable_rank=1.0), kept=False)


def test_operations_are_those_of_the_formulas():
    wide = _auto.operations(sizes(2000, 500, 10))
    assert wide["form"] == 2 * 2000**2 * 500  # the hidden and the output layer, each n^2 m
    assert wide["sketched"] == 2 * 2000**2 * 500  # 4 * 2000 / 8 neurons are not fewer than 500
    assert wide["product"] == 4 * 2000 * 500 * 10
    tall = _auto.operations(sizes(50_000, 100, 10))
    assert tall["form"] == 50_000 * 1101**2
    assert tall["sketched"] == 4 * 1101**3


@pytest.mark.parametrize("shape", [WIDE, TALL], ids=str)
def test_cg_goes_on_with_the_factor_of_a_direct_step(shape, rng, monkeypatch):
    monkeypatch.setattr(_auto, "cg_is_cheaper", lambda jacobian, *, kept: kept)
    J, solver, sketch = jacobian(shape, rng), Auto(), CountSketch()
    rhs = rng.standard_normal(J.shape[0])
    first = solver.prepare(J, sketch=sketch, rng=rng)
    exact = solver.solve(first, rhs, 1.0)
    second = solver.prepare(J, sketch=sketch, rng=rng, previous=first)
    again = solver.solve(second, rhs, 1.0)
    assert (type(first[0]), type(second[0])) == (Direct, CG)
    # The factor of this very matrix: one iteration, where no factor would take many.
    assert (again.message, again.n_iter) == ("kept factor", 1)
    np.testing.assert_allclose(again.step, exact.step, rtol=1e-8, atol=1e-10)


def test_a_factor_of_other_rows_is_not_taken(rng, monkeypatch):
    monkeypatch.setattr(_auto, "cg_is_cheaper", lambda jacobian, *, kept: kept)
    J, other = jacobian(WIDE, rng), jacobian(cases.Shape(140, 6, 400, 1), rng)
    first = Auto().prepare(J, sketch=CountSketch(), rng=rng)
    Auto().solve(first, rng.standard_normal(150), 1.0)
    second = Auto().prepare(other, sketch=CountSketch(), rng=rng, previous=first)
    assert isinstance(second[0], Direct)


def test_a_matrix_without_a_factor_leaves_none(rng):
    J = jacobian(WIDE, rng)
    state = Direct().prepare(J)
    Direct().solve(state, rng.standard_normal(150), 1.0)
    assert state.preconditioner is not None
    state.diagonal[:] = -1.0
    assert Direct().solve(state, rng.standard_normal(150), 2.0).truncated
    assert state.preconditioner is None
