"""Fits to tables on a cluster: the same as in memory, whatever becomes of blocks and workers.

Needs the extra ``dask``, which `.ci/run` installs with the newest versions; with the oldest these
tests are skipped.
"""

import os
import pickle
import signal
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

pytest.importorskip("distributed", reason="needs the extra dask: pip install -e '.[dask]'")
da = pytest.importorskip("dask.array", reason="needs the extra dask: pip install -e '.[dask]'")
dd = pytest.importorskip("dask.dataframe", reason="needs the extra dask: pip install -e '.[dask]'")
pd = pytest.importorskip("pandas")

from distributed import Client, LocalCluster  # noqa: E402

from sklearn_sketchgn import CG, SRHT, Direct, SketchGNRegressor  # noqa: E402
from sklearn_sketchgn._losses import LOSSES  # noqa: E402
from sklearn_sketchgn._metric import column_coordinates  # noqa: E402
from sklearn_sketchgn._network import initialise  # noqa: E402
from sklearn_sketchgn._scaling import Scaling  # noqa: E402
from sklearn_sketchgn._step import Subproblem  # noqa: E402
from sklearn_sketchgn._training_data import TrainingData  # noqa: E402
from sklearn_sketchgn.dask import DaskSketchGNRegressor, _blocks  # noqa: E402
from sklearn_sketchgn.dask._blocks import Rows  # noqa: E402
from sklearn_sketchgn.dask._raw_table import proportional  # noqa: E402
from sklearn_sketchgn.dask._rounds import Rounds  # noqa: E402
from sklearn_sketchgn.dask._sketch import BlockwiseSketch, draw_part  # noqa: E402
from sklearn_sketchgn.dask._table import DistributedTable  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*SketchGNRegressor:sklearn.exceptions.ConvergenceWarning"),
    # The event loop of a client that is closed while the interpreter collects garbage.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

SIZES = (130, 0, 350, 120)


@pytest.fixture(scope="module")
def client():
    with LocalCluster(
        processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0"
    ) as cluster:
        with Client(cluster, set_as_default=False) as client:
            yield client


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(3)
    X = 100 + 7 * rng.standard_normal((sum(SIZES), 4))
    X[:, 3] = 5.0  # a constant column
    y = np.sin(0.1 * X @ rng.standard_normal(4)) + 0.1 * rng.standard_normal(len(X))
    return X, y, rng.integers(0, 3, len(X)).astype(float)


def collection(array, sizes=SIZES):
    return da.from_array(array, chunks=(sizes, *array.shape[1:]))


FEW = {"width": 6, "alpha": 1.0, "batch_size": None, "max_iter": 4, "tol": 0, "random_state": 0}


def both(client, table, weights=False, **parameters):
    """Return a fit in memory and one on the cluster, and the inputs."""
    X, y, weight = table
    parameters = {**FEW, **parameters}
    weight = weight if weights else None
    here = SketchGNRegressor(**parameters).fit(X, y, weight)
    there = DaskSketchGNRegressor(**parameters, client=client)
    given = (collection(X), collection(y), None if weight is None else collection(weight))
    return here, there.fit(*given), X


def assert_same_fit(here, there, X, tol=1e-6):
    np.testing.assert_allclose(there.predict(X), here.predict(X), rtol=tol)
    np.testing.assert_allclose(there.loss_curve_[1:], here.loss_curve_[1:], rtol=tol)
    np.testing.assert_allclose(there.history_["damping"], here.history_["damping"], rtol=tol)
    np.testing.assert_array_equal(there.history_["flips"], here.history_["flips"])
    assert there.stop_reason_ == here.stop_reason_


# The same answer ----------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", [Direct(), CG(oversampling=3)], ids=repr)
def test_full_steps_are_those_on_the_gathered_rows(client, table, solver):
    here, there, X = both(client, table, solver=solver, sketch=SRHT(), weights=True)
    assert_same_fit(here, there, X)
    assert 0 in there.coefs_[0]  # the constant column
    assert there.communication_["n_blocks"] == 3


def test_a_penalty_is_in_the_units_of_the_weights(client, table):
    X, y, weight = table
    assert_same_fit(*both(client, (X, y, 1000 * weight), weights=True))


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool, np.float16])
def test_numbers_of_other_dtypes_are_taken_as_they_are(client, table, dtype):
    X, y, weight = table
    parts = [np.abs(np.rint(part)).astype(dtype) for part in ((X - 100) / 3, 3 * y, weight)]
    floats = [part.astype(float) for part in parts]
    here = SketchGNRegressor(**FEW).fit(*floats)
    there = DaskSketchGNRegressor(**FEW, client=client).fit(*map(collection, parts))
    assert_same_fit(here, there, floats[0])
    np.testing.assert_allclose(there.predict(collection(parts[0])), here.predict(floats[0]))


@pytest.mark.parametrize(
    "parameters",
    [{"loss": "poisson"}, {"loss": "huber"}, {"n_members": 2}, {"train_output": False}],
    ids=repr,
)
def test_other_fits_are_those_on_the_gathered_rows(client, table, parameters):
    X, y, weight = table
    X = (X - 100) / 20
    assert_same_fit(*both(client, (X, np.exp(y), weight), **parameters))


def test_several_outputs(client, table):
    X, y, weight = table
    y = np.stack([y, X[:, 0] ** 2], axis=1)
    here, there, X = both(client, (X, y, weight), weights=True)
    assert_same_fit(here, there, X)
    assert there.predict(collection(X)).shape == y.shape
    assert there.score(collection(X), collection(y)) == pytest.approx(here.score(X, y))


@pytest.mark.parametrize("strings", [False, True])
def test_groups_are_those_of_the_gathered_rows(client, table, strings):
    # Fewer targets than parameters: the whole fit is that in memory, the search for alpha included.
    X, y, weight = table
    groups = np.arange(len(y)) % 23
    groups = np.array([f"plot {group}" for group in groups]) if strings else groups
    parameters = {"width": 128, "max_iter": 60, "random_state": 0}
    here = SketchGNRegressor(**parameters).fit(X, y, weight, groups=groups)
    there = DaskSketchGNRegressor(**parameters, client=client)
    there.fit(*map(collection, (X, y, weight)), groups=collection(groups))
    assert there.alpha_ == pytest.approx(here.alpha_)
    assert there.alpha_ != pytest.approx(SketchGNRegressor(**parameters).fit(X, y, weight).alpha_)
    np.testing.assert_allclose(there.predict(X), here.predict(X), rtol=1e-4)


def test_groups_that_cannot_be(client, table):
    X, y, weight = map(collection, table)
    model = DaskSketchGNRegressor(**FEW, client=client)
    with pytest.raises(TypeError, match="groups must be a dask array, series"):
        model.fit(X, y, weight, groups=np.arange(600))
    with pytest.raises(ValueError, match="X and groups are cut into different blocks"):
        model.fit(X, y, weight, groups=da.arange(600, chunks=300))
    with pytest.raises(ValueError, match="`groups` has one label only, 0"):
        model.fit(X, y, weight, groups=0 * y.astype(int))
    with pytest.raises(ValueError, match="`groups` has .* missing labels"):
        model.fit(X, y, weight, groups=np.nan * y)
    frame = dd.from_pandas(pd.DataFrame({"a": np.arange(9.0), "b": list("pqrpqrpqr")}), 3)
    model.fit(frame[["a"]], frame["a"], groups=frame["b"])
    short = frame["b"].map_partitions(lambda part: part[:-1])
    with pytest.raises(ValueError, match=r"Block \d has 3 rows of X, .* and 2 labels"):
        model.fit(frame[["a"]], frame["a"], groups=short)


def test_a_warm_start_goes_on(client, table):
    X, y, _ = table
    few = {**FEW, "damping": 1.0, "max_iter": 2}
    whole = SketchGNRegressor(**{**few, "max_iter": 4}).fit(X, y)
    model = DaskSketchGNRegressor(**few, warm_start=True, client=client)
    model.fit(collection(X), collection(y)).fit(collection(X), collection(y))
    np.testing.assert_allclose(model.predict(X), whole.predict(X), rtol=1e-6)


def test_a_warm_start_keeps_the_bounds_of_the_tables_before(client, table):
    X, y, _ = table
    here = SketchGNRegressor(**FEW, warm_start=True)
    there = DaskSketchGNRegressor(**FEW, warm_start=True, client=client)
    for unit in (1.0, 0.1):
        here.fit(unit * X, y)
        there.fit(collection(unit * X), collection(y))
    np.testing.assert_allclose(there.input_bounds_, here.input_bounds_)
    np.testing.assert_allclose(there.target_bounds_, here.target_bounds_)
    np.testing.assert_allclose(there.predict(X), here.predict(X), rtol=1e-6)
    assert (there.input_bounds_[1] >= X.max(axis=0)).all()


def test_a_warm_start_expects_the_columns_of_the_first_fit(client, table):
    X, y, _ = table
    frame = dd.from_pandas(pd.DataFrame(X[:, :2], columns=["a", "b"]), npartitions=2)
    target = dd.from_pandas(pd.Series(y), npartitions=2)
    model = DaskSketchGNRegressor(**FEW, warm_start=True, client=client).fit(frame, target)
    with pytest.raises(ValueError, match="The feature names should match"):
        model.fit(frame[["b", "a"]], target)


def test_a_fit_to_a_constant_target_is_nothing_to_go_on_from(client, table):
    X, y = (collection(array) for array in table[:2])
    model = DaskSketchGNRegressor(**{**FEW, "max_iter": 40}, warm_start=True, client=client)
    model.fit(X, 0 * y + 7.0).fit(X, 1e-6 * y)
    cold = clone(model).fit(X, 1e-6 * y)
    np.testing.assert_array_equal(model.coefs_[0], cold.coefs_[0])


def test_a_worker_that_is_lost_in_mid_fit_changes_nothing(table, monkeypatch):
    X, y, _ = table
    here = SketchGNRegressor(**FEW, solver="direct").fit(X, y)
    with LocalCluster(
        processes=True, n_workers=2, threads_per_worker=1, dashboard_address=":0"
    ) as cluster:
        with Client(cluster, set_as_default=False) as client:
            killed, total = [], Rounds.total

            def total_after_a_loss(rounds, function, kind, **shared):
                if sum(entry["rounds"] for entry in rounds.counts.values()) == 5:
                    holders = client.who_has(rounds.blocks)
                    address = next(address for holder in holders.values() for address in holder)
                    os.kill(client.run(os.getpid)[address], signal.SIGKILL)
                    killed.append(address)
                return total(rounds, function, kind, **shared)

            monkeypatch.setattr(Rounds, "total", total_after_a_loss)
            there = DaskSketchGNRegressor(**FEW, solver="direct", client=client)
            there.fit(collection(X), collection(y))
    assert killed
    assert_same_fit(here, there, X)


def test_a_table_with_fewer_targets_than_parameters_is_gathered(client, table):
    X, y, _ = table
    parameters = {"width": 128, "max_iter": 6, "alpha": 1.0, "random_state": 0}
    here = SketchGNRegressor(**parameters).fit(X, y)
    there = DaskSketchGNRegressor(**parameters, client=client).fit(collection(X), collection(y))
    np.testing.assert_allclose(there.predict(X), here.predict(X), rtol=1e-6)
    assert there.communication_["rounds"] == 0


# Sample and whole ---------------------------------------------------------------------------------


def test_batches_run_on_a_sample_and_then_all_rows_count(client, table):
    X, y, _ = table
    parameters = {
        "width": 6,
        "batch_size": 32,
        "max_iter": 80,
        "sample_size": 200,
        "random_state": 0,
    }
    fits = [
        DaskSketchGNRegressor(**parameters, client=client).fit(collection(X), collection(y))
        for _ in range(2)
    ]
    model, again = fits
    sizes = np.array(model.history_["batch_size"])
    assert (sizes[:72] <= 32).all() and (sizes[72:] == len(X)).all()
    assert 0.8 < model.score(collection(X), collection(y)) < 1
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    mean, std = model.predict(collection(X), return_std=True)
    np.testing.assert_allclose(std.compute(), model.to_local().predict(X, return_std=True)[1])
    np.testing.assert_array_equal(mean.compute(), model.predict(X))


def test_the_sample_is_proportional_to_the_blocks():
    assert proportional(np.array([10, 30, 60]), 10) == [1, 3, 6]
    assert proportional(np.array([1, 1, 1]), 2) == [1, 1, 0]
    sizes = proportional(np.array([7, 5, 3, 900]), 101)
    assert sum(sizes) == 101 and sizes[3] == 99
    assert proportional(np.array([7, 5, 3]), 15) == [7, 5, 3]


def test_validation_rows_choose_the_network(client, table):
    X, y, weight = table
    parameters = {**FEW, "early_stopping": True}
    there = DaskSketchGNRegressor(**parameters, client=client)
    with pytest.raises(ValueError, match="early_stopping=True needs X_val and y_val"):
        there.fit(collection(X), collection(y))
    # Held-out targets that the fit to the others gets more and more wrong.
    held_out = {"X_val": X[:50], "y_val": -y[:50], "sample_weight_val": weight[:50] + 0.5}
    there.fit(collection(X), collection(y), **held_out)
    here = SketchGNRegressor(**parameters).fit(X, y, **held_out)
    assert_same_fit(here, there, X)
    curve = there.validation_loss_curve_
    np.testing.assert_allclose(curve, here.validation_loss_curve_, rtol=1e-6)
    errors = (there.predict(X[:50]) + y[:50]) ** 2
    found = np.average(errors, weights=held_out["sample_weight_val"]) / 2
    assert found == pytest.approx(min(curve), rel=1e-6)
    assert min(curve) < 0.9 * curve[-1]


def test_no_network_is_looked_at_twice(client, table, monkeypatch):
    looked, look = [], DistributedTable._look

    def noted(self, network, *arguments):
        looked.append(network)
        return look(self, network, *arguments)

    monkeypatch.setattr(DistributedTable, "_look", noted)
    X, y, weight = table
    settings = {"width": 8, "random_state": 0, "sample_size": 200, "client": client}
    # Of several batches: only then the steps on all rows are under another penalty.
    DaskSketchGNRegressor(batch_size=50, **settings).fit(
        collection(X), collection(y), collection(weight)
    )
    assert len({id(network) for network in looked}) == len(looked) > 1


def test_rounds_are_counted(client, table):
    _, model, _ = both(client, table, solver=CG(refresh=200))
    counts, history = model.communication_, model.history_
    solves, by_kind = len(history["damping"]), counts["by_kind"]
    # A right-hand side, the iterations, the predicted decrease.
    assert by_kind["products"]["rounds"] == sum(history["cg_iterations"]) + 2 * solves
    assert by_kind["trials"]["rounds"] == solves + 1
    assert by_kind["matrices"]["rounds"] == 1
    for name in ("rounds", "bytes_out", "bytes_in"):
        assert counts[name] == sum(entry[name] for entry in by_kind.values())
    n_parameters = 6 * (4 + 1 + 1) + 1
    vectors = by_kind["products"]["rounds"] * 8 * n_parameters
    assert by_kind["products"]["bytes_out"] == 2 * vectors  # two workers
    assert by_kind["products"]["bytes_in"] == 4 * vectors  # three blocks and their sum


# Estimator ----------------------------------------------------------------------------------------


def test_dataframes_keep_names_and_predict_lazily(client, table):
    X, y, weight = table
    names = ["a", "b", "c", "d"]
    frame = pd.DataFrame(X, columns=names).assign(y=y, weight=weight)
    lazy = dd.from_pandas(frame, npartitions=3)
    model = DaskSketchGNRegressor(**FEW, client=client)
    model.fit(lazy[names], lazy["y"], lazy["weight"])
    here = SketchGNRegressor(**FEW).fit(frame[names], y, weight)
    assert model.feature_names_in_.tolist() == names
    predicted = model.predict(lazy[names])
    assert isinstance(predicted, da.Array)
    np.testing.assert_allclose(client.compute(predicted).result(), here.predict(frame[names]))
    assert model.to_local().feature_names_in_.tolist() == names
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(lazy[names[::-1]])
    assert model.score(lazy[names], lazy["y"], lazy["weight"]) == pytest.approx(
        here.score(frame[names], y, weight)
    )


def test_a_score_of_arrays_in_memory(client, table):
    here, there, X = both(client, table)
    _, y, weight = table
    assert there.score(X, y, weight) == pytest.approx(here.score(X, y, weight))


@pytest.mark.parametrize("target", [7.0, 8.0])
def test_a_score_on_a_constant_target(client, table, target):
    X, y, _ = table
    model = DaskSketchGNRegressor(**FEW, client=client).fit(collection(X), collection(0 * y + 7))
    score = model.score(collection(X), collection(0 * y + target))
    assert score == model.to_local().score(X, 0 * y + target) == float(target == 7)


def test_a_score_needs_a_row_of_positive_weight(client, table):
    _, model, _ = both(client, table)
    X, y, weight = map(collection, table)
    with pytest.raises(ValueError, match="no row of positive weight in X: found 0 samples to sco"):
        model.score(X, y, 0 * weight)


def test_the_local_copy_knows_nothing_of_dask(client, table):
    _, model, X = both(client, table)
    local = model.to_local()
    assert type(local) is SketchGNRegressor
    stored = pickle.dumps(local)
    assert b"distributed" not in stored and b"dask" not in stored
    np.testing.assert_array_equal(pickle.loads(stored).predict(X), model.predict(X))
    local.coefs_[0][...] = 0
    assert model.coefs_[0].any()
    local.partial_fit(X, X[:, 0])
    with pytest.raises(ValueError, match="expecting 4 features"):
        model.predict(collection(X[:, :3]))


def test_a_local_copy_of_a_derived_class(client, table):
    class Derived(DaskSketchGNRegressor):
        def __init__(self, client=None, note="", width=256, random_state=None):
            super().__init__(client=client, width=width, random_state=random_state)
            self.note = note

    X = table[0]
    rows = collection(X)
    model = Derived(client, note="mine", width=8, random_state=0).fit(rows, rows[:, 0])
    local = model.to_local()
    assert not hasattr(local, "note")
    np.testing.assert_array_equal(local.predict(X), model.predict(X))


def test_copies_of_the_estimator(client, table):
    _, model, X = both(client, table)
    stored = pickle.loads(pickle.dumps(model))
    assert stored.client is None
    np.testing.assert_array_equal(stored.predict(X), model.predict(X))
    with pytest.raises(ValueError, match="y has 3 outputs; expected 1 as in fit"):
        model.score(collection(X), collection(X)[:, :3])
    copied = clone(model)
    assert copied.client is client and model.client is client
    assert not hasattr(copied, "coefs_")
    with pytest.raises(NotFittedError, match="not fitted yet"):
        copied.predict(collection(X))
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'"):
        model.partial_fit  # noqa: B018


# Errors before any work starts --------------------------------------------------------------------


def untouchable(shape, chunks, dtype=float):
    """Return an array that fails the test if a chunk of it is ever computed."""

    def never(block):
        raise AssertionError("computed")

    empty = da.zeros(shape, chunks=chunks, dtype=dtype)
    return empty.map_blocks(never, meta=np.empty((0,) * empty.ndim, dtype=dtype))


X_OK, Y_OK = untouchable((20, 3), ((5, 15), 3)), untouchable(20, ((5, 15),))
BAD = {
    "X in memory": (np.zeros((20, 3)), Y_OK, None, TypeError, "X must be a dask array or data"),
    "y in memory": (X_OK, np.zeros(20), None, TypeError, "y must be a dask array, series"),
    "weights": (X_OK, Y_OK, np.ones(20), TypeError, "sample_weight must be a dask array"),
    "flat X": (Y_OK, Y_OK, None, ValueError, "X must have two dimensions"),
    "deep y": (X_OK, X_OK[:, :, None], None, ValueError, "y must have 1 or 2 dim"),
    "columns": (untouchable((20, 3), ((5, 15), (2, 1))), Y_OK, None, ValueError, "along its col"),
    "objects": (untouchable((20, 3), ((5, 15), 3), object), Y_OK, None, ValueError, "dtype object"),
    "chunks": (X_OK, untouchable(20, ((6, 14),)), None, ValueError, r"\(5, 15\) and \(6, 14\)"),
    "lengths": (X_OK, untouchable(21, ((5, 16),)), None, ValueError, "different blocks of rows"),
    "no columns": (X_OK[:, :0], Y_OK, None, ValueError, "X has no columns"),
    "no targets": (X_OK, X_OK[:, :0], None, ValueError, "y has no columns"),
    "weight chunks": (X_OK, Y_OK, untouchable(20, ((20,),)), ValueError, "X and sample_weight"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_collections_are_named_before_any_work(client, case):
    X, y, weight, kind, message = BAD[case]
    model = DaskSketchGNRegressor(client=client)
    with pytest.raises(kind, match=message):
        model.fit(X, y, weight)
    assert not hasattr(model, "n_features_in_")


def test_bad_dataframes_are_named_before_any_work(client):
    frame = pd.DataFrame({"a": np.arange(9.0), "b": list("pqrpqrpqr"), "y": 1.0})
    lazy = dd.from_pandas(frame, npartitions=3)
    model = DaskSketchGNRegressor(client=client)
    with pytest.raises(ValueError, match="not real numbers .*'b'"):
        model.fit(lazy[["a", "b"]], lazy["y"])
    with pytest.raises(ValueError, match="unknown sizes.*X.compute_chunk_sizes()"):
        model.fit(lazy[["a"]].to_dask_array(), lazy["y"])
    with pytest.raises(ValueError, match="X has 3 blocks of rows and y has 2"):
        model.fit(lazy[["a"]], dd.from_pandas(frame["y"], npartitions=2))
    other = lazy["y"].repartition(divisions=(0, 2, 4, 8))
    with pytest.raises(ValueError, match="different divisions"):
        model.fit(lazy[["a"]], other)


def test_a_solver_must_say_that_it_is_fit_for_a_cluster(client, table):
    class Own(Direct):
        distributed = False

    X, y = (collection(array) for array in table[:2])
    model = DaskSketchGNRegressor(**FEW, solver=Own(), client=client)
    with pytest.raises(TypeError, match=r"solver=Own\(\) does not say .* `distributed = True`"):
        model.fit(X, y)


def test_a_client_that_is_gone(client):
    with Client(client.cluster, set_as_default=False) as gone:
        pass
    with pytest.raises(RuntimeError, match="status is 'closed'"):
        DaskSketchGNRegressor(client=gone).fit(X_OK, Y_OK)
    with pytest.raises(RuntimeError, match="no default client"):
        DaskSketchGNRegressor().fit(X_OK, Y_OK)
    with pytest.raises(TypeError, match="must be a distributed.Client"):
        DaskSketchGNRegressor(client="tcp://127.0.0.1:1").fit(X_OK, Y_OK)


@pytest.mark.parametrize("where", ["X", "y", "sample_weight"])
@pytest.mark.parametrize(
    ("value", "found"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")]
)
def test_numbers_that_are_not_finite(client, table, where, value, found):
    given = dict(zip(("X", "y", "sample_weight"), (part.copy() for part in table), strict=True))
    given[where][-1] = value
    model = DaskSketchGNRegressor(**FEW, client=client)
    with pytest.raises(ValueError, match=f"{where} contains {found} in block 3"):
        model.fit(*map(collection, given.values()))


@pytest.mark.parametrize("where", ["X", "y", "sample_weight"])
def test_missing_values_of_pandas_are_not_numbers(client, where):
    frame = pd.DataFrame({"X": np.arange(9.0), "y": 1.0, "sample_weight": 1.0}, dtype="Float64")
    frame.loc[7, where] = pd.NA
    lazy = dd.from_pandas(frame, npartitions=3)
    model = DaskSketchGNRegressor(**FEW, client=client)
    with pytest.raises(ValueError, match=f"{where} contains NaN in block 2"):
        model.fit(lazy[["X"]], lazy["y"], lazy["sample_weight"])


@pytest.mark.parametrize("where", ["X", "y", "sample_weight"])
@pytest.mark.parametrize(
    ("convert", "dtype"),
    [
        (lambda block: block.astype(str), "<U"),
        (lambda block: block.astype(complex), "complex128"),
        (csr_matrix, "object"),
    ],
    ids=["strings", "complex", "sparse"],
)
def test_blocks_that_are_not_what_their_collection_says(client, table, where, convert, dtype):
    given = dict(zip(("X", "y", "sample_weight"), map(collection, table), strict=True))
    given[where] = given[where].map_blocks(convert, meta=given[where]._meta)
    model = DaskSketchGNRegressor(**FEW, client=client)
    with pytest.raises(ValueError, match=rf"{where} holds values of dtype {dtype}.* in block \d"):
        model.fit(*given.values())


def test_weights_and_targets_out_of_range(client, table):
    X, y, weight = table
    model = DaskSketchGNRegressor(**FEW, client=client)
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        model.fit(collection(X), collection(y), collection(weight - 1))
    with pytest.raises(ValueError, match="no row of positive weight"):
        model.fit(collection(X), collection(y), collection(0 * weight))
    with pytest.raises(ValueError, match="requires non-negative y"):
        model.set_params(loss="poisson").fit(collection(X), collection(y))


# Without a scheduler ------------------------------------------------------------------------------


class RoundsHere:
    """What :class:`Rounds` does, in this thread."""

    def __init__(self, blocks):
        self.blocks, self.n_rounds = blocks, 0

    def share(self, value, kind, n_bytes):
        return value

    def total(self, function, kind, **shared):
        self.n_rounds += 1
        return sum(function(block, i, **shared) for i, block in enumerate(self.blocks))


def test_weights_of_all_blocks_are_in_one_unit(rng):
    X, y = rng.standard_normal((5, 2)), rng.standard_normal((5, 1))
    scaling = Scaling(np.zeros(2), np.ones(2), np.zeros(1), np.ones(1))
    light, heavy = (
        _blocks.scale(_blocks.RawBlock(X, y, np.full(5, weight)), scaling, 700.0, True)
        for weight in (1.0, 700.0)
    )
    np.testing.assert_allclose(heavy.weights, 700 * light.weights)
    np.testing.assert_allclose(heavy.rows, 700**0.5 * light.rows)


def test_blocks_of_a_sample_are_drawn_independently(rng):
    block = _blocks.RawBlock(np.arange(400.0)[:, None], np.zeros((400, 1)), np.ones(400))
    first, again, other = (_blocks.sample(block, 20, [7, 1], i)[0].ravel() for i in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(first)) == 20
    assert len(np.intersect1d(first, other)) < 10


def test_rows_of_a_sample_keep_their_targets_weights_and_groups():
    numbers = np.arange(1.0, 401.0)
    block = _blocks.RawBlock(numbers[:, None], numbers[:, None], numbers, numbers)
    rows, targets, weight, groups = _blocks.sample(block, 20, [7, 1], 0)
    np.testing.assert_array_equal(targets, rows)
    np.testing.assert_array_equal(weight, rows[:, 0])
    np.testing.assert_array_equal(groups, rows[:, 0])


def test_a_penalty_is_in_units_of_all_rows_and_not_of_the_sample():
    network = initialise(4, 3, 1, np.random.default_rng(0)).astype(np.float32)
    training = SimpleNamespace(network=network, total_weight=10.0)
    whole = DistributedTable(RoundsHere([]), 100, 250.0)
    assert whole.take_over(training) is whole
    assert training.total_weight == 250.0
    assert training.network.hidden.dtype == np.float64


#: None, and a penalty that differs between the columns of the rows.
COORDINATES = [None, column_coordinates(np.array([0.3, 1.0, 20.0, 1.0]), np.float64)]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("coordinates", COORDINATES, ids=["alike", "weighed"])
def test_a_problem_on_blocks_is_the_problem_on_all_rows(rng, name, n_outputs, coordinates):
    rows = np.concatenate([rng.standard_normal((90, 3)), np.ones((90, 1))], axis=1)
    targets = rng.random((90, n_outputs))
    data, loss = TrainingData(rows, targets, np.ones(90)), LOSSES[name]()
    cuts = [data.take(part) for part in np.split(np.arange(90), [20, 70])]
    rounds = RoundsHere([Rows(part.rows, part.targets, part.weights) for part in cuts])
    table = DistributedTable(rounds, 90, data.weight)
    network = initialise(4, 4, n_outputs, rng)
    here = Subproblem(network, rows, targets, 0.7, loss, coordinates)
    there = table.subproblem(network, 0.7, loss, coordinates)
    assert there.value() == pytest.approx(here.value())
    np.testing.assert_allclose(there.squares(), here.squares())
    np.testing.assert_allclose(there.gradient(), here.gradient(), atol=1e-12)
    np.testing.assert_allclose(
        np.tril(there.jacobian.lower_normal()), np.tril(here.jacobian.lower_normal()), atol=1e-12
    )
    before = rounds.n_rounds
    step = 0.1 * rng.standard_normal(len(here.theta))
    assert there.predicted_decrease(step) == pytest.approx(here.predicted_decrease(step))
    assert rounds.n_rounds == before + 1
    moved, value = there.trial(network, step, table)
    assert value == pytest.approx(here.trial(network, step, data)[1])
    assert there.flips(moved) == here.flips(moved)
    before = rounds.n_rounds
    assert table.subproblem(moved, 0.7, loss, coordinates).value() == pytest.approx(value)
    assert rounds.n_rounds == before  # an accepted step goes on from its trial


@pytest.mark.parametrize("coordinates", COORDINATES, ids=["alike", "weighed"])
def test_inner_products_of_row_vectors(rng, coordinates):
    rows, targets = rng.standard_normal((50, 4)), rng.standard_normal((50, 1))
    data, loss = Rows(rows, targets, np.ones(50)), LOSSES["squared_error"]()
    network = initialise(4, 4, 1, rng)
    table = DistributedTable(RoundsHere([data]), 50, 50.0)
    problem = table.subproblem(network, 0.1, loss, coordinates)
    dense = Subproblem(network, rows, targets, 0.1, loss, coordinates)
    v, w = rng.standard_normal((2, len(dense.theta)))
    J, r = problem.jacobian, problem.residual
    left, right = -(r + J.matvec(v)), r + r + J.matvec(w)
    expected_left = -(dense.residual + dense.jacobian.matvec(v))
    expected_right = 2 * dense.residual + dense.jacobian.matvec(w)
    assert left @ right == pytest.approx(expected_left @ expected_right)
    assert J.matvec(v) @ right == pytest.approx(dense.jacobian.matvec(v) @ expected_right)
    np.testing.assert_allclose(J.rmatvec(left), dense.jacobian.rmatvec(expected_left), atol=1e-12)


def test_the_sketch_of_blocks_has_the_identity_as_its_mean():
    lengths, size, draws = (3, 12, 5), 8, 500
    mean = np.zeros((sum(lengths), sum(lengths)))
    rng = np.random.default_rng(0)
    for _ in range(draws):
        drawn = BlockwiseSketch(SRHT()).draw(size, sum(lengths), rng)
        parts = [
            draw_part(drawn.sketch, size, n, [*drawn.seed, block]) @ np.eye(n)
            for block, n in enumerate(lengths)
        ]
        S = np.concatenate(parts, axis=1)
        mean += S.T @ S / draws
    # An entry of S'S varies by less than 1; five standard errors of its mean.
    np.testing.assert_allclose(mean, np.eye(len(mean)), atol=5 / np.sqrt(draws))


@pytest.mark.parametrize("coordinates", COORDINATES, ids=["alike", "weighed"])
def test_the_sketched_jacobian_is_the_sum_of_its_parts(rng, coordinates):
    rows, targets = rng.standard_normal((200, 4)), rng.standard_normal((200, 1))
    blocks = [
        Rows(rows[part], targets[part], np.ones(100)) for part in (slice(100), slice(100, 200))
    ]
    network, loss = initialise(4, 4, 1, rng), LOSSES["squared_error"]()
    table = DistributedTable(RoundsHere(blocks), 200, 200.0)
    problem = table.subproblem(network, 0.1, loss, coordinates)
    drawn = problem.sketch_of_rows(SRHT()).draw(60, 200, rng)
    parts = [draw_part(SRHT(), 60, 100, [*drawn.seed, block, 0]) for block in (0, 1)]
    dense = Subproblem(network, rows, targets, 0.1, loss, coordinates).jacobian
    J = np.stack([dense.matvec(e) for e in np.eye(dense.shape[1])], axis=1)
    expected = parts[0] @ J[:100] + parts[1] @ J[100:]
    np.testing.assert_allclose(problem.jacobian.sketched_rows(drawn), expected, atol=1e-12)


def test_too_few_rows_to_sketch_without_a_ridge(client, table):
    X, y, _ = table
    fits = []
    for solver in ("cg", "direct"):
        model = DaskSketchGNRegressor(
            client=client, **{**FEW, "width": 60, "alpha": 0, "damping": 0, "solver": solver}
        )
        fits.append(model.fit(collection(X), collection(y)).predict(X))
    np.testing.assert_allclose(*fits, rtol=1e-3, atol=1e-3 * y.std())
