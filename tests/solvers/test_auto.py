"""Which of the two solvers "auto" takes; its answers are held to the contract of all solvers."""

import numpy as np
import pytest

from sklearn_sketchgn import CG, Direct, Gaussian
from sklearn_sketchgn._jacobian import Jacobian
from sklearn_sketchgn.solvers import Auto
from sklearn_sketchgn.solvers._auto import _cg_is_cheaper
from tests import cases


def jacobian(shape):
    n, d, m, k = shape
    ones = np.ones((n, d), dtype=np.float32)
    return Jacobian(ones, np.ones((m, d)), np.ones((m, k)))


# Both sides of the choice where fits were timed: batches are direct, thousands of rows and wide
# networks are not, and many columns make the products of conjugate gradient dear.
@pytest.mark.parametrize(
    "shape", [(256, 8, 256, 1), (1000, 8, 4000, 1), (20_000, 8, 64, 1), (1024, 100, 8192, 1)]
)
def test_direct_where_it_is_cheaper(shape):
    assert not _cg_is_cheaper(jacobian(shape))


@pytest.mark.parametrize(
    "shape", [(4096, 16, 8192, 1), (8192, 32, 16384, 1), (20_000, 8, 256, 1), (50_000, 30, 256, 1)]
)
def test_conjugate_gradient_where_it_is_cheaper(shape):
    assert _cg_is_cheaper(jacobian(shape))


def test_the_factor_is_kept_until_the_choice_changes(monkeypatch, rng):
    arrays = cases.network_arrays(cases.ordinary_table, cases.TALL_SHAPES[0], rng)
    J, rhs = Jacobian(*arrays), np.ones(len(arrays[0]))
    monkeypatch.setattr("sklearn_sketchgn.solvers._auto._cg_is_cheaper", lambda jacobian: True)
    solver = Auto()
    first = solver.prepare(J, sketch=Gaussian(), rng=rng)
    assert type(first[0]) is CG
    solver.solve(first, rhs, 1.0)
    second = solver.prepare(J, sketch=Gaussian(), rng=rng, previous=first)
    assert solver.solve(second, rhs, 1.0).message == "kept factor"
    monkeypatch.setattr("sklearn_sketchgn.solvers._auto._cg_is_cheaper", lambda jacobian: False)
    third = solver.prepare(J, sketch=Gaussian(), rng=rng, previous=second)
    assert type(third[0]) is Direct
    assert solver.solve(third, rhs, 1.0).converged
