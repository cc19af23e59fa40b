"""Several networks averaged into one."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from threadpoolctl import threadpool_info, threadpool_limits

from sklearn_sketchgn import Direct, SketchGNRegressor
from sklearn_sketchgn._members import _one_blas_thread, combine

pytestmark = pytest.mark.filterwarnings(
    "ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning"
)


def fit(**parameters):
    X, y = load_diabetes(return_X_y=True)
    few = {"width": 8, "max_iter": 12, "alpha": 1.0, "random_state": 0}
    return SketchGNRegressor(**{**few, **parameters}).fit(X, y), X


def forward(X, coefs, intercepts):
    return np.maximum(X @ coefs[0] + intercepts[0], 0) @ coefs[1] + intercepts[1]


def test_the_mean_of_networks_is_one_wider_network(rng):
    folded = [
        (
            [rng.standard_normal((4, 6)), rng.standard_normal((6, 2))],
            [rng.standard_normal(6), rng.standard_normal(2)],
        )
        for _ in range(3)
    ]
    X = rng.standard_normal((10, 4))
    expected = np.mean([forward(X, *member) for member in folded], axis=0)
    coefs, intercepts = combine(folded)
    assert coefs[0].shape == (4, 18)
    np.testing.assert_allclose(forward(X, coefs, intercepts), expected, rtol=1e-12)


def test_members_differ_and_are_kept_apart():
    model, X = fit(n_members=3)
    assert model.coefs_[0].shape == (X.shape[1], 24)
    assert len(model.members_) == 3
    assert model.members_[0]["history"] is model.history_
    assert model.loss_curve_ == model.members_[0]["loss_curve"]
    blocks = np.split(model.coefs_[0], 3, axis=1)
    assert not np.array_equal(blocks[0], blocks[1])
    assert model.predict(X).shape == (len(X),)


def test_penalty_is_the_geometric_mean():
    model, _ = fit(n_members=2, alpha="auto", max_iter=100, width=4)
    alphas = [member["alpha"] for member in model.members_]
    assert np.mean(alphas) > 1.001 * np.sqrt(np.prod(alphas))
    assert model.alpha_ == pytest.approx(np.sqrt(np.prod(alphas)))


def test_a_given_penalty_is_told_as_it_is():
    assert fit(n_members=3, alpha=1e9)[0].alpha_ == 1e9


@pytest.mark.parametrize("batch_size", ["auto", 64, None])
def test_threads_change_no_bit(batch_size):
    predictions = []
    for n_jobs in (1, 2, 4):
        model, X = fit(n_members=4, n_jobs=n_jobs, batch_size=batch_size, solver="cg")
        predictions.append(model.predict(X))
    np.testing.assert_array_equal(predictions[0], predictions[1])
    np.testing.assert_array_equal(predictions[0], predictions[2])


def test_blas_threads_are_as_before():
    before = threadpool_info()
    fit(n_members=2, n_jobs=2)
    assert threadpool_info() == before


class CountingThreads(Direct):
    """Notes how many BLAS threads each of its solves may use, in a list that clones share."""

    def __init__(self, found):
        self.found = found

    def solve(self, state, rhs, ridge):
        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        self.found.append(max(pool["num_threads"] for pool in pools))
        return super().solve(state, rhs, ridge)

    def __sklearn_clone__(self):
        return self


def test_members_train_with_one_blas_thread_each():
    members, alone = [], []
    with threadpool_limits(2, user_api="blas"):
        fit(n_members=2, solver=CountingThreads(members))
        fit(n_members=1, solver=CountingThreads(alone))
    assert set(members) == {1}
    # Where the machine has one core, or a limit in the environment, two cannot be asked for.
    assert set(alone) <= {1, 2}


def test_warm_start_continues_every_member():
    model, X = fit(n_members=2, warm_start=True, batch_size=None, damping=0.1, max_iter=2, tol=0.0)
    whole, _ = fit(n_members=2, batch_size=None, damping=0.1, max_iter=4, tol=0.0)
    model.fit(X, load_diabetes(return_X_y=True)[1])
    np.testing.assert_allclose(model.predict(X), whole.predict(X), rtol=1e-6)


def test_fits_that_overlap_leave_blas_its_threads():
    def threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    with threadpool_limits(2, user_api="blas"):
        before, first, second = threads(), _one_blas_thread(), _one_blas_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert set(threads()) == {1}
        second.__exit__(None, None, None)
        assert threads() == before
        assert set(before) == {2}


def test_members_without_a_penalty_have_none_on_average(rng):
    X = rng.standard_normal((60, 2))
    model = SketchGNRegressor(8, n_members=2, alpha=0, max_iter=5, random_state=0).fit(X, X[:, 0])
    assert model.alpha_ == 0


def test_members_share_the_threshold_of_huber(rng):
    X = rng.standard_normal((60, 2))
    y = X[:, 0] + 0.1 * rng.standard_t(2, 60)
    model = SketchGNRegressor(
        8, n_members=2, alpha=0.1, loss="huber", max_iter=5, warm_start=True, random_state=0
    )
    first, second = (training.loss_function for training in model.fit(X, y)._resume[1])
    assert first.threshold == second.threshold < 1
