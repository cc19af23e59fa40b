"""Searches in other processes and on clusters: the same results, shared inputs, no spare threads.

The test with Dask needs the extra ``dask``; the one with Ray needs ``pip install ray`` and is among
the long ones.
"""

import os

import numpy as np
import pytest
from joblib import Parallel, delayed, parallel_config
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_info

from sklearn_sketchgn import Direct, SketchGNRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning"
)

GRID = {"width": [4, 6], "alpha": [0.1, 10.0]}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 5))
    return X, np.sin(X @ rng.standard_normal(5))


def search(table, **parameters):
    model = SketchGNRegressor(max_iter=4, random_state=0)
    return GridSearchCV(model, GRID, cv=2, **parameters).fit(*table)


def assert_same_search(found, expected):
    scores = [key for key in expected.cv_results_ if key.endswith("test_score")]
    assert scores
    for key in scores:
        np.testing.assert_allclose(found.cv_results_[key], expected.cv_results_[key], rtol=1e-9)
    np.testing.assert_allclose(found.best_estimator_.coefs_[0], expected.best_estimator_.coefs_[0])


class Watching(Direct):
    """Writes down how many BLAS threads its solves may use."""

    seen: list = []

    def solve(self, state, rhs, ridge):
        self.seen.append(max(pool["num_threads"] for pool in threadpool_info()))
        return super().solve(state, rhs, ridge)


def fit_there(X, y, **parameters):
    """Return predictions, where they were made, the kind of the input, and threads in use."""
    Watching.seen.clear()
    model = SketchGNRegressor(width=4, max_iter=4, alpha=1.0, random_state=0, **parameters)
    predicted = model.fit(X, y).predict(X)
    return predicted, os.getpid(), type(X), X.flags.writeable, max(Watching.seen, default=0)


def test_loky_finds_the_same(table):
    with parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
        found = search(table)
    assert_same_search(found, search(table))


@pytest.mark.parametrize("n_members", [1, 2])
def test_loky_shares_inputs_and_keeps_to_its_threads(table, n_members):
    X, y = table
    before = X.copy()
    parameters = {"solver": Watching(), "n_members": n_members, "n_jobs": n_members}
    expected = fit_there(X, y, **parameters)[0]
    with parallel_config("loky", n_jobs=2, inner_max_num_threads=1, max_nbytes=1000):
        results = Parallel()(delayed(fit_there)(X, y, **parameters) for _ in range(3))
    for predicted, process, kind, writeable, threads in results:
        np.testing.assert_allclose(predicted, expected, rtol=1e-9)
        # One file behind the inputs of all tasks, mapped and not to be written to.
        assert process != os.getpid() and kind is np.memmap and not writeable
        assert threads == 1
    np.testing.assert_array_equal(X, before)


def test_dask_finds_the_same_and_sends_inputs_once(table):
    distributed = pytest.importorskip(
        "distributed", reason="needs the extra dask: pip install -e '.[dask]'"
    )
    with distributed.LocalCluster(
        processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0"
    ) as cluster:
        with distributed.Client(cluster) as client:
            with parallel_config("dask", n_jobs=2, client=client, wait_for_workers_timeout=60):
                found = search(table)
                places = Parallel()(delayed(place_of)(table[0]) for _ in range(6))
    assert_same_search(found, search(table))
    assert len(set(places)) <= 2  # one for each worker, not for each task


def place_of(X):
    return X.__array_interface__["data"][0]


@pytest.mark.long
def test_ray_finds_the_same(table):
    ray = pytest.importorskip("ray", reason="needs Ray: pip install ray")
    from ray.util.joblib import register_ray

    register_ray()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        with parallel_config("ray", n_jobs=2):
            found = search(table)
    finally:
        ray.shutdown()
    assert_same_search(found, search(table))
