"""J'J on the span of inducing rows, against dense algebra."""

import numpy as np
import pytest

from sklearn_sketchgn import _posterior
from sklearn_sketchgn._network import Network
from sklearn_sketchgn._posterior import Posterior, leverage_at
from sklearn_sketchgn._tangent_kernel import TangentKernel
from sklearn_sketchgn._training_data import TrainingData
from tests import references
from tests.cases import Shape, network_arrays, ordinary_table

N_SAMPLES = 40


@pytest.fixture
def table(rng):
    """Weighted rows, the network's arrays, its kernel, and which rows are held out."""
    rows, hidden, output = network_arrays(ordinary_table, Shape(N_SAMPLES, 4, 12, 1), rng)
    weight = rng.integers(1, 4, size=N_SAMPLES).astype(float)
    root = np.sqrt(weight)[:, None]
    data = TrainingData(root * rows, root * np.zeros((N_SAMPLES, 1)), weight)
    kernel = TangentKernel.of(Network(hidden, output, np.zeros(1)))
    held_out = np.arange(N_SAMPLES) % 3 == 0
    return data, (hidden, output), kernel, held_out


@pytest.mark.parametrize("block", [7, 512])
def test_against_dense_algebra(block, table, rng, monkeypatch):
    # 40 inducing rows span all that J'J is made of, so nothing is approximate. The rows are a
    # third of a table three times as heavy.
    monkeypatch.setattr(_posterior, "BLOCK", block)
    data, arrays, kernel, held_out = table
    total = 3 * data.weights.sum()
    curvature = rng.uniform(0.5, 2, N_SAMPLES)
    posterior = Posterior(kernel, data, held_out, total, curvature, rng)
    others = rng.standard_normal((9, 4))
    others[:, -1] = 1
    B, ridge = references.jacobian(others, *arrays), 0.7
    for which, (eigenvalues, vectors) in (
        (np.ones(N_SAMPLES, dtype=bool), posterior.whole),
        (~held_out, posterior.kept),
    ):
        A = references.jacobian(data.rows, *arrays) * np.sqrt(curvature)[:, None]
        A = A[which]
        precision = 3 * A.T @ A + ridge * np.eye(A.shape[1])
        expected = np.einsum("np,np->n", B, np.linalg.solve(precision, B.T).T)
        coordinates = posterior.coordinates(others) @ vectors
        found = leverage_at(coordinates, eigenvalues, kernel.diagonal(others), ridge)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_few_inducing_rows_overstate_the_spread(table, rng, monkeypatch):
    # Outside of their span the posterior is taken to be the prior, which is wider.
    data, _, kernel, held_out = table
    spreads = []
    for n_inducing in (5, N_SAMPLES):
        monkeypatch.setattr(_posterior, "_INDUCING", n_inducing)
        posterior = Posterior(kernel, data, held_out, data.weights.sum(), np.ones(N_SAMPLES), rng)
        eigenvalues, vectors = posterior.whole
        rows = data.unweighted(data.rows)
        coordinates = posterior.coordinates(rows) @ vectors
        assert coordinates.shape[1] <= n_inducing
        spreads.append(leverage_at(coordinates, eigenvalues, kernel.diagonal(rows), 0.1))
    assert spreads[0].mean() > 2 * spreads[1].mean()


def test_a_wide_table_has_fewer_inducing_rows(rng):
    # What is kept is M numbers for each inducing row and one for each of its columns.
    for n_features in (3, 2000):
        rows = np.ones((1000, n_features))
        n_inducing = _posterior._n_inducing(TrainingData(rows, rows[:, :1], rows[:, 0]))
        assert n_inducing * (n_inducing + n_features) <= 2**18
        assert n_inducing == 256 or (n_inducing + 1) * (n_inducing + 1 + n_features) > 2**18
