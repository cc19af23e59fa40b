"""Times of the hot paths, to be compared with those of another commit; run by hand or nightly.

    pip install -e ".[bench]"
    pytest benchmarks/test_hot_paths.py --benchmark-save=before
    pytest benchmarks/test_hot_paths.py --benchmark-compare --benchmark-compare-fail=min:20%

Saved runs lie in .benchmarks/ and mean nothing on another machine. The plain `pytest` of the
project collects only its tests and the package, so nothing here is ever timed there.
"""

import numpy as np
import pytest

from sklearn_sketchgn import CG, SRHT, CountSketch, Direct, Gaussian, SketchGNRegressor
from sklearn_sketchgn._network import initialise

BATCH = (256, 256, 16)  # rows, neurons, inputs of a default batch
ALL_ROWS = (2000, 2048, 16)
RIDGE = 10.0


def linearised(n, m, d, dtype=np.float32):
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.standard_normal((n, d)), np.ones((n, 1))], axis=1).astype(dtype)
    network = initialise(m, d + 1, 1, rng).astype(dtype)
    targets = np.tanh(rows @ rng.standard_normal((d + 1, 1)).astype(dtype))
    return network, rows, targets, *network.linearise(rows, targets)


@pytest.fixture(scope="module", params=[BATCH, ALL_ROWS], ids=["batch", "all rows"])
def problem(request):
    return linearised(*request.param)


@pytest.fixture(scope="module")
def large():
    return linearised(*ALL_ROWS)


def solved(solver, jacobian, rhs, previous=None, sketch=None):
    rng = np.random.default_rng(0)
    state = solver.prepare(jacobian, sketch=sketch or CountSketch(), rng=rng, previous=previous)
    return solver.solve(state, rhs, RIDGE), state


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batch_step(benchmark, dtype):
    network, rows, targets, *_ = linearised(*BATCH, dtype)

    def step():
        jacobian, residual = network.linearise(rows, targets)
        result, _ = solved(Direct(), jacobian, -residual)
        return network.with_parameters(network.parameters() + result.step)

    benchmark(step)


def test_gram(benchmark, problem):
    benchmark(problem[3].lower_gram)


def test_linearise(benchmark, problem):
    network, rows, targets, *_ = problem
    benchmark(network.linearise, rows, targets)


def test_matvec(benchmark, problem):
    jacobian = problem[3]
    benchmark(jacobian.matvec, np.ones(jacobian.shape[1], jacobian.dtype))


def test_rmatvec(benchmark, problem):
    jacobian = problem[3]
    benchmark(jacobian.rmatvec, np.ones(jacobian.shape[0], jacobian.dtype))


@pytest.mark.parametrize("sketch", [CountSketch(), SRHT(), Gaussian()], ids=repr)
def test_sketch_of_the_neurons(benchmark, large, sketch):
    jacobian = large[3]
    drawn = sketch.draw(1000, jacobian.width, np.random.default_rng(0))
    benchmark(jacobian.sketched_gram, drawn)


@pytest.mark.parametrize("sketch", [CountSketch(), SRHT(), Gaussian()], ids=repr)
def test_sketch_of_the_rows(benchmark, sketch):
    jacobian = linearised(20_000, 30, 10)[3]
    drawn = sketch.draw(4 * jacobian.shape[1], jacobian.shape[0], np.random.default_rng(0))
    benchmark(jacobian.sketched_rows, drawn)


def test_step_with_a_kept_factor(benchmark, large):
    jacobian, residual = large[3:]
    _, state = solved(Direct(), jacobian, -residual)
    result = benchmark(lambda: solved(CG(tol=1e-3), jacobian, -residual, state)[0])
    assert result.message == "kept factor"


def test_predict(benchmark):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 16))
    model = SketchGNRegressor(max_iter=20, random_state=0).fit(X, np.tanh(X[:, 0]))
    benchmark(model.predict, np.tile(X, (20, 1)))
