"""alpha="auto": what the choice depends on, and what it does not."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from sklearn_sketchgn import SketchGNRegressor
from sklearn_sketchgn._penalty import ALPHA_GRID

pytestmark = pytest.mark.filterwarnings(
    "ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning"
)


def chosen(X, y, weight=None, **parameters):
    """Return the penalty of a fit that ends as soon as it is chosen."""
    few = {"width": 8, "max_iter": 1, "random_state": 0}
    return SketchGNRegressor(**{**few, **parameters}).fit(X, y, weight).alpha_


def smooth_table(rng, noise, n_samples=150):
    X = rng.standard_normal((n_samples, 3))
    return X, np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + noise * rng.standard_normal(n_samples)


def test_noise_raises_the_penalty(rng):
    clean, noisy = (chosen(*smooth_table(rng, noise)) for noise in (0.0, 3.0))
    assert 1e-6 <= clean < noisy <= 1e4
    assert noisy > 10 * clean


@pytest.mark.parametrize("solver", ["cg", "direct"])
@pytest.mark.parametrize("seed", range(3))
def test_weights_are_repetitions(seed, solver):
    rng = np.random.default_rng(seed)
    X, y = smooth_table(rng, 0.3, n_samples=60)
    weight = rng.integers(1, 4, size=60)
    order = rng.permutation(weight.sum())
    repeated = np.repeat(X, weight, axis=0)[order], np.repeat(y, weight)[order]
    assert chosen(X, y, weight, solver=solver) == pytest.approx(
        chosen(*repeated, solver=solver), rel=1e-8
    )


def test_order_of_the_rows_does_not_matter_in_one_batch(rng):
    X, y = smooth_table(rng, 0.3)
    order = rng.permutation(len(y))
    assert chosen(X[order], y[order]) == pytest.approx(chosen(X, y), rel=1e-8)


def test_units_do_not_matter(rng):
    X, y = smooth_table(rng, 0.3)
    assert chosen(X, 1024 * y) == chosen(X, y)
    assert chosen(X / 1024, y) == chosen(X, y)


def test_same_seed_same_bits(rng):
    X, y = smooth_table(rng, 0.3)
    assert chosen(X, y) == chosen(X, y)


@pytest.mark.parametrize("n_samples", [1, 2, 3, 6])
def test_tiny_tables_have_a_penalty(n_samples, rng):
    X, y = rng.standard_normal((n_samples, 3)), rng.standard_normal(n_samples)
    assert 1e-6 <= chosen(X, y) <= 1e4


@pytest.mark.parametrize("n_samples", [60, 300])
def test_several_outputs(n_samples, rng):
    X = rng.standard_normal((n_samples, 3))
    y = np.column_stack([X[:, 0], np.abs(X[:, 1]), rng.standard_normal(n_samples)])
    assert 1e-6 <= chosen(X, y) <= 1e4


@pytest.mark.parametrize("parameters", [{"batch_size": None}, {"train_output": False}], ids=repr)
def test_other_modes(parameters, rng):
    assert 1e-6 <= chosen(*smooth_table(rng, 0.3), **parameters) <= 1e4


def test_equal_rows_share_a_fold(rng):
    # If copies of a judged row were trained on, memorising them would look like skill.
    X = rng.standard_normal((40, 3))
    noise = rng.standard_normal(40)
    assert chosen(np.tile(X, (3, 1)), np.tile(noise, 3)) > 0.1


def test_fits_report_the_penalty_they_used():
    X, y = load_diabetes(return_X_y=True)
    model = SketchGNRegressor(width=4, max_iter=4, random_state=0).fit(X, y)
    assert ALPHA_GRID.min() <= model.alpha_ <= ALPHA_GRID.max()
    assert model.history_["alpha"][-1] == model.alpha_
    given = SketchGNRegressor(width=4, max_iter=4, alpha=0.25, random_state=0).fit(X, y)
    assert set(given.history_["alpha"]) == {given.alpha_} == {0.25}
