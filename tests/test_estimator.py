"""SketchGNRegressor as scikit-learn's other tools and its users meet it."""

import pickle

import joblib
import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_linnerud
from sklearn.ensemble import BaggingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

from sklearn_sketchgn import CG, SRHT, CountSketch, Direct, Gaussian, SketchGNRegressor
from tests import cases
from tests.sketches.test_sketch_contract import Rademacher
from tests.solvers.test_contract import DenseSingularValues

# Few steps are the point of most tests here; the warning has tests of its own.
pytestmark = pytest.mark.filterwarnings(
    "ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning"
)

SKETCH_NAMES = ["countsketch", "srht", "gaussian"]


def quick(**parameters):
    """Return an estimator of a few narrow steps, whose accuracy is of no interest."""
    few = {"width": 8, "max_iter": 12, "alpha": 1.0, "random_state": 0}
    return SketchGNRegressor(**{**few, **parameters})


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    X.setflags(write=False)
    y.setflags(write=False)
    return X, y


@pytest.fixture(scope="module")
def linnerud():
    return load_linnerud(return_X_y=True)


# scikit-learn's own contract ----------------------------------------------------------------------


def assert_all_checks_pass(estimator):
    expected = {}
    if estimator.loss == "poisson":
        # The check ignores the tag, and MLPRegressor(loss="poisson") fails it for the same reason.
        expected["check_regressor_multioutput"] = "negative targets despite the tag positive_only"
    results = estimator_checks.check_estimator(
        estimator, on_skip=None, on_fail=None, expected_failed_checks=expected
    )
    assert len(results) > 50
    others = [
        (result["check_name"], result["status"], result["exception"])
        for result in results
        if result["status"] != ("xfail" if result["check_name"] in expected else "passed")
    ]
    assert others == []


def test_check_estimator_on_the_defaults_but_for_the_number_of_steps():
    assert_all_checks_pass(SketchGNRegressor(width=32, max_iter=20))


@pytest.mark.long
def test_check_estimator_on_the_defaults():
    assert_all_checks_pass(SketchGNRegressor())


@pytest.mark.parametrize("sketch", SKETCH_NAMES)
@pytest.mark.parametrize("solver", ["cg", "direct"])
def test_check_estimator_on_every_pair(solver, sketch):
    assert_all_checks_pass(SketchGNRegressor(width=8, max_iter=30, solver=solver, sketch=sketch))


@pytest.mark.parametrize(
    "parameters",
    [
        {"batch_size": None, "max_iter": 20},
        {"n_members": 2},
        {"encoding": "piecewise"},
        {"encoding": "auto"},
        *({"loss": loss} for loss in cases.LOSSES if loss != "squared_error"),
    ],
    ids=repr,
)
def test_check_estimator_on_other_modes(parameters, monkeypatch):
    # Of fits that are tried before the fit itself.
    monkeypatch.setattr("sklearn_sketchgn._cycles.CYCLE_STEPS", 32)
    monkeypatch.setattr("sklearn_sketchgn._threshold._STEPS", 20)
    few = {"width": 8, "max_iter": 30, "alpha": 0.1}
    assert_all_checks_pass(SketchGNRegressor(**{**few, **parameters}))


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_dataframe_column_names_consistency,
        estimator_checks.check_param_validation,
        estimator_checks.check_inplace_ensure_writeable,
    ],
    ids=lambda check: check.__name__,
)
def test_checks_that_third_parties_are_not_given(check):
    check("SketchGNRegressor", quick())


def test_third_party_strategies_pass_the_same_contract():
    assert_all_checks_pass(quick(sketch=Rademacher(), solver=DenseSingularValues()))


# Weights ------------------------------------------------------------------------------------------


def weighted_and_repeated(seed, n_samples=15, n_features=10):
    rng = np.random.RandomState(seed)  # noqa: NPY002 - the tables of scikit-learn's own check
    X, y = rng.rand(n_samples, n_features), rng.randint(0, 3, size=n_samples)
    weight = rng.randint(0, 5, size=n_samples)
    repeated, repeated_y = np.repeat(X, weight, axis=0), np.repeat(y, weight)
    order = rng.permutation(len(repeated))
    return (X, y, weight), (repeated[order], repeated_y[order]), rng.rand(n_samples, n_features)


@pytest.mark.parametrize(
    "parameters",
    [
        # Wide enough for the sketch to be drawn, and to be of another size for repeated rows.
        {"solver": "cg", "alpha": "auto", "width": 32},
        {"solver": "cg", "batch_size": None},
        {"solver": "direct"},
        {"encoding": "auto"},
    ],
    ids=repr,
)
@pytest.mark.parametrize("seed", range(25))
def test_weights_are_repetitions(parameters, seed):
    weighted, repeated, X_test = weighted_and_repeated(seed)
    model = quick(**{"max_iter": 60, **parameters})
    predictions = [clone(model).fit(*data).predict(X_test) for data in (weighted, repeated)]
    np.testing.assert_allclose(*predictions, rtol=1e-7)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(25))
def test_weights_are_repetitions_with_every_step(seed):
    weighted, repeated, X_test = weighted_and_repeated(seed)
    model = SketchGNRegressor(width=64, solver="cg", random_state=0)
    predictions = [clone(model).fit(*data).predict(X_test) for data in (weighted, repeated)]
    np.testing.assert_allclose(*predictions, rtol=1e-7)


def test_rows_of_weight_zero_count_as_absent(diabetes):
    X, y = diabetes
    weight = np.ones(len(y))
    weight[::3] = 0
    wrong = np.where(weight > 0, y, 1e6)
    first = quick().fit(X, wrong, weight)
    second = quick().fit(X[weight > 0], y[weight > 0])
    np.testing.assert_array_equal(first.predict(X), second.predict(X))


def test_uniform_weights_change_the_penalty_only(diabetes):
    X, y = diabetes
    plain = quick(batch_size=None, alpha=1.0).fit(X, y)
    scaled = quick(batch_size=None, alpha=4.0).fit(X, y, np.full(len(y), 4.0))
    np.testing.assert_allclose(plain.predict(X), scaled.predict(X), rtol=1e-7)


# Other tools --------------------------------------------------------------------------------------


def test_grid_search_over_width_and_sketches_as_strings_and_objects(diabetes):
    X, y = diabetes
    grid = [
        {"width": [4, 8], "sketch": ["srht", CountSketch(nnz_per_column=2), Rademacher()]},
        {"sketch": [CountSketch()], "sketch__nnz_per_column": [1, 4]},
        {"solver": [CG(), Direct(), "auto"]},
        {"solver": [CG()], "solver__oversampling": [2.0, 4.0]},
    ]
    search = GridSearchCV(quick(max_iter=6, solver="cg"), grid, cv=2, error_score="raise")
    search.fit(X[:100], y[:100])
    assert len(search.cv_results_["params"]) == 13
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(X[:3]).shape == (3,)


def test_pipeline_with_and_without_scaler(diabetes):
    X, y = diabetes
    model = quick(batch_size=None, alpha=1.0)
    alone = make_pipeline(model).fit(X, y).predict(X)
    scaled = make_pipeline(StandardScaler(), model).fit(X, y).predict(X)
    # The inputs are standardised inside anyway.
    np.testing.assert_allclose(alone, scaled, rtol=1e-6)


def test_clone_is_unfitted_and_equal_in_its_parameters(diabetes):
    model = quick(sketch=CountSketch(nnz_per_column=2), solver=CG(tol=1e-3)).fit(*diabetes)
    copy = clone(model)
    assert not hasattr(copy, "coefs_")
    assert repr(copy) == repr(model)
    assert copy.sketch is not model.sketch
    assert model.sketch_ is not model.sketch
    np.testing.assert_array_equal(
        copy.fit(*diabetes).predict(diabetes[0]), model.predict(diabetes[0])
    )


def test_cross_val_predict_in_processes(diabetes):
    X, y = diabetes
    folds = KFold(3)
    serial = cross_val_predict(quick(), X, y, cv=folds)
    parallel = cross_val_predict(quick(), X, y, cv=folds, n_jobs=2)
    np.testing.assert_array_equal(serial, parallel)


def test_transformed_target(diabetes):
    X, y = diabetes
    model = TransformedTargetRegressor(quick(), func=np.log, inverse_func=np.exp).fit(X, y)
    assert model.score(X, y) > 0.3


def test_bagging(diabetes):
    X, y = diabetes
    model = BaggingRegressor(quick(), n_estimators=3, random_state=0, n_jobs=2).fit(X, y)
    assert model.score(X, y) > 0.3


def test_two_targets_in_a_pipeline(linnerud):
    X, y = linnerud
    model = make_pipeline(StandardScaler(), quick()).fit(X, y)
    assert model.predict(X).shape == y.shape


def test_pickle_gives_the_same_bits(diabetes):
    X, y = diabetes
    model = quick(warm_start=True, sketch=SRHT(), solver=CG()).fit(X, y)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model.predict(X), copy.predict(X))
    np.testing.assert_array_equal(model.fit(X, y).predict(X), copy.fit(X, y).predict(X))


def test_memory_mapped_joblib_gives_the_same_bits(diabetes, tmp_path):
    X, y = diabetes
    model = quick().fit(X, y)
    joblib.dump((model, X, y), tmp_path / "model.joblib")
    copy, X_mapped, y_mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert not copy.coefs_[0].flags.writeable
    np.testing.assert_array_equal(model.predict(X), copy.predict(X_mapped))
    again = quick().fit(X_mapped, y_mapped)
    np.testing.assert_array_equal(model.predict(X), again.predict(X))


def test_html_repr_links_to_the_documentation(diabetes):
    html = quick().fit(*diabetes)._repr_html_()
    assert "SketchGNRegressor" in html
    assert "https://sklearn-sketchgn.readthedocs.io" in html


def test_feature_names(diabetes):
    pandas = pytest.importorskip("pandas")
    X, y = diabetes
    frame = pandas.DataFrame(X, columns=[f"f{i}" for i in range(X.shape[1])])
    model = quick().fit(frame, y)
    np.testing.assert_array_equal(model.feature_names_in_, frame.columns)
    np.testing.assert_allclose(model.predict(frame), quick().fit(X, y).predict(X), rtol=1e-9)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[frame.columns[::-1]])
    with pytest.raises(
        ValueError, match=r"X has 3 features, but SketchGNRegressor is expecting 10"
    ):
        quick().fit(X, y).predict(X[:, :3])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.predict(X)


# Determinism, dtypes, shapes ----------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", ["auto", None, 50])
@pytest.mark.parametrize("solver", ["cg", "direct"])
def test_same_seed_same_bits(solver, batch_size, diabetes):
    X, y = diabetes
    model = quick(solver=solver, batch_size=batch_size)
    first, second = (clone(model).fit(X, y) for _ in range(2))
    for one, other in zip(
        first.coefs_ + first.intercepts_, second.coefs_ + second.intercepts_, strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert first.history_ == second.history_
    third = clone(model).set_params(random_state=1).fit(X, y)
    assert not np.array_equal(first.predict(X), third.predict(X))


def test_random_state_instance_and_none(diabetes):
    X, y = diabetes
    seeded = [
        quick(random_state=np.random.RandomState(3)).fit(X, y).predict(X)  # noqa: NPY002
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*seeded)
    assert np.isfinite(quick(random_state=None).fit(X, y).predict(X)).all()


@pytest.mark.parametrize("parameters", [{}, {"batch_size": 50, "solver": "cg"}, {"n_members": 2}])
def test_global_random_state_and_inputs_are_left_alone(parameters, diabetes):
    X, y = (x.copy() for x in diabetes)
    weight = np.linspace(0, 2, len(y))
    copies = X.copy(), y.copy(), weight.copy()
    before = np.random.get_state()  # noqa: NPY002
    quick(**parameters).fit(X, y, weight).predict(X)
    after = np.random.get_state()  # noqa: NPY002
    assert all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))
    for array, copy in zip((X, y, weight), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_parameters_are_never_assigned(diabetes):
    model = quick(sketch=SRHT(), solver=CG(max_iter=50))
    before = {name: repr(value) for name, value in model.get_params(deep=False).items()}
    identities = {name: id(value) for name, value in model.get_params(deep=False).items()}
    model.fit(*diabetes)
    assert {name: repr(value) for name, value in model.get_params(deep=False).items()} == before
    assert {n: id(value) for n, value in model.get_params(deep=False).items()} == identities


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int32])
def test_predictions_have_the_dtype_of_the_inputs(dtype, diabetes):
    X, y = np.rint(diabetes[0]).astype(dtype), diabetes[1]
    model = quick().fit(X, y)
    kept = dtype in (np.float32, np.float64)
    assert model.predict(X).dtype == (dtype if kept else np.float64)
    assert {x.dtype for x in model.coefs_ + model.intercepts_} == {np.dtype(float)}


@pytest.mark.parametrize("batch_size", ["auto", None, 50])
def test_a_column_of_targets_gives_the_same_bits(batch_size, diabetes):
    X, y = diabetes
    model = quick(batch_size=batch_size)
    flat, column = model.fit(X, y).predict(X), clone(model).fit(X, y[:, None]).predict(X)
    assert flat.shape == (len(y),)
    assert column.shape == (len(y), 1)
    np.testing.assert_array_equal(flat, column[:, 0])


def test_memory_layout_gives_the_same_values(diabetes):
    X, y = diabetes
    expected = quick().fit(X, y).predict(X)
    strided = np.repeat(X, 2, axis=1)[:, ::2]
    for other in (np.asfortranarray(X), strided, X.tolist()):
        np.testing.assert_allclose(quick().fit(other, y).predict(X), expected, rtol=1e-9)


def test_fitted_attributes(linnerud):
    X, y = linnerud
    model = quick(width=7).fit(X, y)
    assert [coef.shape for coef in model.coefs_] == [(3, 7), (7, 3)]
    assert [intercept.shape for intercept in model.intercepts_] == [(7,), (3,)]
    assert model.n_outputs_ == 3
    assert model.n_features_in_ == 3
    assert model.n_iter_ == len(model.history_["objective"]) <= 12
    assert {len(values) for values in model.history_.values()} == {model.n_iter_}
    assert set(model.history_) == {
        "objective", "damping", "alpha", "cg_iterations", "cg_residual", "step_norm",
        "batch_size", "flips", "events",
    }  # fmt: skip
    assert model.loss_ == model.loss_curve_[-1]
    assert model.validation_loss_curve_ is None
    assert model.alpha_ > 0
    assert isinstance(model.stop_reason_, str)
    assert type(model.sketch_) is CountSketch
    residual = model.predict(X) - y
    assert model.loss_ == pytest.approx(np.mean(residual**2) / 2, rel=1e-6)


def test_loss_curve_starts_at_the_initial_network(diabetes):
    X, y = diabetes
    model = quick().fit(X, y)
    # The initial network predicts the mean.
    assert model.loss_curve_[0] == pytest.approx(np.var(y) / 2, rel=1e-6)


# Continuing, stopping, reporting ------------------------------------------------------------------


@pytest.mark.parametrize("train_output", [True, False])
@pytest.mark.parametrize("solver", ["direct", "cg"])
def test_warm_starts_of_one_step_are_one_fit_of_several(solver, train_output, diabetes):
    X, y = StandardScaler().fit_transform(diabetes[0]), diabetes[1]
    common = {
        "batch_size": None,
        "alpha": 1.0,
        "damping": 0.1,
        "tol": 0.0,
        "solver": solver,
        "train_output": train_output,
    }
    whole = quick(max_iter=5, **common).fit(X, y)
    stepwise = quick(max_iter=1, warm_start=True, **common)
    losses = []
    for _ in range(5):
        losses.append(stepwise.fit(X, y).loss_)
    assert whole.n_iter_ == 5
    np.testing.assert_allclose(stepwise.predict(X), whole.predict(X), rtol=1e-6)
    np.testing.assert_allclose(losses[-1], whole.loss_, rtol=1e-6)


@pytest.mark.parametrize(
    ("before", "after", "first"),
    [(0.04, 7.0, 7.0), (0.04, 0, 0.0), (0, 0.5, 0.5), (0.5, "auto", 0.04)],
)
def test_a_warm_start_takes_another_damping(before, after, first, diabetes):
    X, y = diabetes
    common = {"batch_size": None, "alpha": 1.0, "max_iter": 3, "warm_start": True}
    model = quick(damping=before, **common).fit(X, y)
    model.set_params(damping=after).fit(X, y)
    assert model.history_["damping"][0] == first


def test_a_numpy_scalar_of_momentum_is_a_number(diabetes):
    X, y = diabetes
    model, other = (
        quick(momentum=momentum, batch_size=64, max_iter=20).fit(X, y)
        for momentum in (0.9, np.float64(0.9))
    )
    np.testing.assert_array_equal(model.predict(X), other.predict(X))


@pytest.mark.parametrize(("n_samples", "fraction"), [(1, 0.1), (2, 0.9)])
def test_early_stopping_needs_rows_to_train_on(n_samples, fraction, diabetes):
    X, y = diabetes
    model = quick(early_stopping=True, validation_fraction=fraction)
    with pytest.raises(
        ValueError, match=rf"validation_fraction={fraction} leaves no row .* n_samples={n_samples}"
    ):
        model.fit(X[:n_samples], y[:n_samples])


def test_warm_start_refuses_another_network(diabetes):
    X, y = diabetes
    model = quick(warm_start=True).fit(X, y)
    with pytest.raises(
        ValueError, match=r"warm_start=True cannot continue.*width.*warm_start=False"
    ):
        model.set_params(width=9).fit(X, y)


def test_early_stopping_keeps_the_best_network(diabetes):
    X, y = diabetes
    model = quick(width=64, max_iter=400, alpha=1e-6, early_stopping=True, n_iter_no_change=3)
    model.fit(X, y)
    curve = model.validation_loss_curve_
    assert model.stop_reason_ == "the validation loss no longer improved"
    assert len(curve) == len(model.loss_curve_)
    assert model.n_iter_ < 400
    assert int(np.argmin(curve)) < len(curve) - 1


def test_validation_rows_of_the_user(diabetes):
    X, y = diabetes
    fit, held_out = slice(0, 300), slice(300, None)
    weight = np.linspace(1, 2, len(y))
    model = quick(max_iter=100, alpha=1e-6).fit(
        X[fit], y[fit], X_val=X[held_out], y_val=y[held_out], sample_weight_val=weight[held_out]
    )
    error = (model.predict(X[held_out]) - y[held_out]) ** 2
    best = np.average(error, weights=weight[held_out]) / 2
    assert best == pytest.approx(min(model.validation_loss_curve_), rel=1e-6)


def test_verbose_prints_a_line_an_epoch(diabetes, capsys):
    model = quick(verbose=1).fit(*diabetes)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(model.loss_curve_)
    assert lines[0].split()[:2] == ["step", "loss"]
    quick(verbose=0).fit(*diabetes)
    assert capsys.readouterr().out == ""


# Bad input ----------------------------------------------------------------------------------------


class NoDraw:
    pass


BAD_PARAMETERS = [
    ({"width": 0}, r"'width' parameter.*int in the range \[1, 2147483647\].*Got 0"),
    ({"width": 2.5}, r"'width' parameter.*Got 2.5"),
    ({"sketch": "fourier"}, r"'sketch' parameter.*'countsketch'.*Got 'fourier'"),
    ({"sketch": NoDraw()}, r"'sketch' parameter.*draw.*Got"),
    ({"sketch": None}, r"'sketch' parameter.*Got None"),
    ({"sketch": SRHT}, r"'sketch' parameter.*class, not an instance"),
    ({"solver": "qr"}, r"'solver' parameter.*'direct'.*Got 'qr'"),
    ({"solver": Gaussian()}, r"'solver' parameter.*prepare.*Got"),
    ({"solver": CG}, r"'solver' parameter.*class, not an instance"),
    ({"solver": CG(tol=-1)}, r"'tol' of CG must be a finite number >= 0; got -1"),
    ({"solver": CG(max_iter=2.5)}, r"'max_iter' of CG must be an int >= 1; got 2.5"),
    ({"solver": CG(max_iter=True)}, r"'max_iter' of CG must be an int >= 1; got True"),
    ({"solver": CG(oversampling=np.inf)}, r"'oversampling' of CG must be a finite.*got inf"),
    ({"solver": CG(oversampling=0.5)}, r"'oversampling' of CG must be.*>= 1; got 0.5"),
    ({"alpha": -1.0}, r"'alpha' parameter.*Got -1.0"),
    ({"alpha": "best"}, r"'alpha' parameter.*'auto'.*Got 'best'"),
    ({"alpha": np.nan}, r"'alpha' parameter.*Got nan"),
    ({"alpha": np.inf}, r"'alpha' parameter.*Got inf"),
    ({"damping": -1.0}, r"'damping' parameter.*Got -1.0"),
    ({"damping": np.inf}, r"'damping' parameter.*Got inf"),
    ({"batch_size": 0}, r"'batch_size' parameter.*Got 0"),
    ({"momentum": 1.0}, r"'momentum' parameter.*Got 1.0"),
    ({"max_iter": 0}, r"'max_iter' parameter.*Got 0"),
    ({"tol": -1e-3}, r"'tol' parameter.*Got -0.001"),
    ({"n_members": 0}, r"'n_members' parameter.*Got 0"),
    ({"loss": "absolute_error"}, r"'loss' parameter.*'squared_error'.*Got 'absolute_error'"),
    ({"validation_fraction": 1.0}, r"'validation_fraction' parameter.*Got 1.0"),
    ({"train_output": False, "n_members": 2}, r"train_output=False.*n_members=1; got 2"),
]


@pytest.mark.parametrize(
    ("parameters", "message"), BAD_PARAMETERS, ids=[message for _, message in BAD_PARAMETERS]
)
def test_bad_parameters(parameters, message, diabetes):
    model = quick(**{"solver": "cg", **parameters})
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(*diabetes)
    assert vars(model).keys() == model.get_params(deep=False).keys()


def with_entry(array, entry):
    array = np.array(array, dtype=np.result_type(array, type(entry)))
    array.flat[5] = entry
    return array


def bad_data(X, y):
    n = len(y)
    weight = np.ones(n)
    return {
        "nan in X": ((with_entry(X, np.nan), y), "Input X contains NaN"),
        "infinity in X": ((with_entry(X, np.inf), y), "Input X contains infinity"),
        "nan in y": ((X, with_entry(y, np.nan)), "Input y contains NaN"),
        "complex X": ((with_entry(X, 1j), y), "Complex data not supported"),
        "complex y": ((X, with_entry(y, 1j)), "Complex data not supported"),
        "flat X": ((X[:, 0], y), "Expected 2D array, got 1D array"),
        "deep X": ((X[None], y), r"Found array with dim 3|expected 2D array|Expected 2D array"),
        "deep y": ((X, y[:, None, None]), r"Found array with dim 3|y should be a"),
        "short y": ((X, y[:-1]), "inconsistent numbers of samples"),
        "no rows": ((X[:0], y[:0]), r"Found array with 0 sample"),
        "no columns": ((X[:, :0], y), r"Found array with 0 feature"),
        "no y": ((X, None), "requires y to be passed"),
        "words": ((X, np.array(["a"] * n)), "could not convert string to float"),
        "dates": (
            (X, np.full(n, np.datetime64("2026-01-01"))),
            r"y holds times: .*datetime64\[D\]",
        ),
        "dates in X": ((np.full((n, 2), np.datetime64("2026-01-01")), y), r"X holds times"),
        "dates for weights": ((X, y, np.full(n, np.timedelta64(1, "D"))), "weight holds times"),
        "negative weight": ((X, y, with_entry(weight, -1.0)), "Negative values.*sample_weight"),
        "weights of zero": ((X, y, 0 * weight), "[Ss]ample.weight.*zero"),
        "nan weight": ((X, y, with_entry(weight, np.nan)), "sample_weight contains NaN"),
        "infinite weight": ((X, y, np.inf), "sample_weight contains NaN or infinity"),
        "one weight of nan": ((X, y, np.nan), "sample_weight contains NaN or infinity"),
        "long double y": ((X, np.longdouble("1e400") * np.ones(n)), "y contains.*too large"),
        "short weight": ((X, y, weight[:-1]), "sample_weight.shape == "),
        "deep weight": ((X, y, weight[:, None]), "[Ss]ample.weights? must be 1D"),
    }


@pytest.mark.parametrize("name", bad_data(np.ones((9, 2)), np.ones(9)))
def test_bad_data_leaves_the_estimator_as_it_was(name, diabetes):
    X, y = diabetes
    arguments, message = bad_data(X, y)[name]
    unfitted = quick()
    with pytest.raises(ValueError, match=message):
        unfitted.fit(*arguments)
    assert vars(unfitted).keys() == unfitted.get_params(deep=False).keys()
    with pytest.raises(NotFittedError, match="not fitted yet"):
        unfitted.predict(X)
    fitted = quick().fit(X[:, :4], y)
    before = fitted.predict(X[:, :4])
    with pytest.raises(ValueError, match=message):
        fitted.fit(*arguments)
    np.testing.assert_array_equal(fitted.predict(X[:, :4]), before)


def test_sparse_targets_are_refused(diabetes):
    X, y = diabetes
    with pytest.raises(TypeError, match=r"Sparse y is not supported; got.*Use y.toarray\(\)"):
        quick().fit(X, csr_array(y[:, None]))


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ({"X_val": 0}, "`X_val` and `y_val` must be given together; `y_val` is None"),
        ({"y_val": 1}, "`X_val` and `y_val` must be given together; `X_val` is None"),
        ({"sample_weight_val": 2}, "`sample_weight_val` was given without"),
        ({"X_val": 3, "y_val": 1}, "X has 4 features, but SketchGNRegressor is expecting 10"),
        ({"X_val": 0, "y_val": 4}, "`y_val` has 2 outputs; expected 1"),
        ({"X_val": 0, "y_val": 1, "sample_weight_val": 5}, "[Ss]ample.weight.*zero"),
    ],
)
def test_bad_validation_data(validation, message, diabetes):
    X, y = diabetes
    data = [X[:20], y[:20], np.ones(20), X[:20, :4], np.ones((20, 2)), np.zeros(20)]
    model = quick()
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, **{name: data[index] for name, index in validation.items()})
    assert vars(model).keys() == model.get_params(deep=False).keys()


class Broken(Gaussian):
    """Draws what no sketch should."""

    def __init__(self, how="nan"):
        self.how = how

    def draw(self, sketch_size, n_rows, rng):
        if self.how == "shape":
            return np.ones((sketch_size + 1, n_rows))
        return np.full((sketch_size, n_rows), {"nan": np.nan, "zeros": 0.0}[self.how])


@pytest.mark.parametrize("how", ["nan", "zeros", "shape"])
def test_a_sketch_that_draws_nonsense_is_named(how, diabetes):
    X, y = diabetes
    model = quick(solver="cg", sketch=Broken(how), batch_size=None)
    with pytest.raises(ValueError, match=r"Broken\(.*`sketch` strategy"):
        model.fit(X, y)
    assert vars(model).keys() == model.get_params(deep=False).keys()


@pytest.mark.parametrize("nnz", [0, -3, 1.5])
def test_a_sketch_is_checked_even_where_none_is_drawn(nnz, diabetes):
    with pytest.raises((ValueError, TypeError), match="nnz_per_column must be"):
        quick(solver="direct", sketch=CountSketch(nnz_per_column=nnz)).fit(*diabetes)


@pytest.mark.parametrize("value", ["countsketch", None, CountSketch], ids=repr)
def test_nested_parameters_of_no_object_say_to_pass_one(value):
    with pytest.raises(ValueError, match=r"'sketch__nnz_per_column'.*is no object.*CountSke"):
        quick(sketch=value).set_params(sketch__nnz_per_column=2)
    model = quick().set_params(sketch=CountSketch(), sketch__nnz_per_column=2)
    assert model.sketch.nnz_per_column == 2


# Tables at the edge -------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["cg", "direct"])
@pytest.mark.parametrize("batch_size", ["auto", None, 1])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 1), (3, 40)])
def test_tiny_tables(shape, batch_size, solver, rng):
    X, y = rng.standard_normal(shape), rng.standard_normal(shape[0])
    model = quick(batch_size=batch_size, solver=solver, max_iter=100).fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    assert np.mean((model.predict(X) - y) ** 2) <= (1 + 1e-4) * np.var(y)


@pytest.mark.parametrize("parameters", [{}, {"train_output": False}, {"batch_size": None}])
@pytest.mark.parametrize("solver", ["cg", "direct"])
def test_constant_inputs_and_targets(solver, parameters, rng):
    X = np.zeros((20, 3))
    for y in (np.full(20, 7.0), rng.standard_normal(20)):
        model = quick(solver=solver, **parameters).fit(X, y)
        np.testing.assert_allclose(model.predict(X), y.mean(), rtol=1e-3, atol=1e-3)
    constant = quick(solver=solver, **parameters).fit(
        rng.standard_normal((20, 3)), np.full(20, 7.0)
    )
    if parameters.get("train_output", True):
        np.testing.assert_allclose(constant.predict(X), 7.0, rtol=1e-9)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_narrow_networks(width, diabetes):
    model = quick(width=width).fit(*diabetes)
    assert model.coefs_[0].shape == (10, width)
    assert model.score(*diabetes) > 0.2


def test_undamped_steps_that_blow_up_end_in_finite_predictions(rng):
    X = np.repeat(rng.standard_normal((30, 3)), 2, axis=0)
    y = rng.standard_normal(60)
    for solver in ("cg", "direct"):
        model = quick(
            solver=solver, batch_size=None, alpha=0.0, damping=0.0, max_iter=30, width=64
        ).fit(X, y)
        assert np.isfinite(model.predict(X)).all()
