"""Whatever finite table and parameters a user passes: a clear error, or a sensible network.

The examples are the same in every run. For others, and many more of them:

    HYPOTHESIS_PROFILE=long pytest tests/test_properties.py
"""

import os
import re
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from sklearn_sketchgn import SketchGNRegressor

common = {"deadline": None, "suppress_health_check": list(HealthCheck)}
# A failure in CI is reported at once; the long profile looks for its smallest form.
quick = (Phase.explicit, Phase.generate)
settings.register_profile("short", derandomize=True, max_examples=60, phases=quick, **common)
settings.register_profile("long", max_examples=1000, **common)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))

# What an error may say: every message names what to change.
DOCUMENTED = (
    "train_output=False takes inputs as they are"
    "|train_output=False .* needs (n_members=1|encoding=None)"
    "|early_stopping=True .* leaves no row to train on"
)

seeds = st.integers(0, 2**32 - 1)
exponents = st.integers(-300, 290)


def scaled(draw, numbers, magnitude):
    """Bring numbers to magnitudes from 1e-300 to 1e290: all alike, by columns or one by one."""
    largest = max(1.0, float(np.abs(numbers).max()))
    if magnitude == "one":
        return numbers
    if magnitude == "all":
        return numbers / largest * 10.0 ** draw(exponents)
    rng = np.random.default_rng(draw(seeds))
    shape = numbers.shape if magnitude == "each" else (1, numbers.shape[1])
    return numbers / largest * 10.0 ** rng.integers(-300, 290, size=shape)


@st.composite
def arrays(draw, n_rows, n_columns):
    rng = np.random.default_rng(draw(seeds))
    kind = draw(st.sampled_from(["normal", "integers", "heavy", "repeated"]))
    if kind == "normal":
        numbers = rng.standard_normal((n_rows, n_columns))
    elif kind == "integers":
        numbers = rng.integers(-3, 4, size=(n_rows, n_columns)).astype(float)
    elif kind == "heavy":
        numbers = rng.standard_cauchy((n_rows, n_columns))
    else:
        numbers = rng.standard_normal((1, n_columns))[np.zeros(n_rows, dtype=int)]
    numbers = scaled(draw, numbers, draw(st.sampled_from(["one", "all", "columns", "each"])))
    if draw(st.booleans()):
        numbers[:, draw(st.integers(0, n_columns - 1))] += 10.0 ** draw(st.integers(-5, 15))
    return numbers


def in_dtype(numbers, dtype):
    """Return the numbers in a dtype, those beyond its range at its ends."""
    if np.dtype(dtype) == bool:
        return numbers > 0
    info = np.finfo(dtype) if np.dtype(dtype).kind == "f" else np.iinfo(dtype)
    # Half the range: the largest integer is not a float.
    return np.clip(numbers, float(info.min) / 2, float(info.max) / 2).astype(dtype)


def laid_out(array, layout, directory):
    """Return equal numbers in another memory layout."""
    if layout == "Fortran":
        return np.asfortranarray(array)
    if layout == "strided":
        return np.repeat(array, 2, axis=0)[::2]
    if layout == "backwards":
        return array[::-1].copy()[::-1]
    if layout == "memory-mapped":
        path = directory / "array.npy"
        np.save(path, array)
        return np.load(path, mmap_mode="r")
    array = array.copy()
    array.setflags(write=layout != "read-only")
    return array


dtypes = st.sampled_from([np.float64, np.float32, np.float16, np.int64, np.int8, np.uint8, bool])
layouts = st.sampled_from(["C", "Fortran", "strided", "backwards", "read-only", "memory-mapped"])


@st.composite
def weights(draw, n_rows):
    rng = np.random.default_rng(draw(seeds))
    kind = draw(st.sampled_from([None, "spread", "integers", "wild"]))
    if kind is None:
        return None, False
    if kind == "integers":
        weight = rng.integers(0, 4, size=n_rows).astype(float)
        weight[0] = 1
        return weight, False
    if kind == "wild":
        return 10.0 ** rng.integers(-300, 290, size=n_rows), True
    return 10.0 ** rng.uniform(-6, 0, size=n_rows) * 10.0 ** draw(exponents), False


numbers_above_zero = st.one_of(
    st.just("auto"),
    st.sampled_from([0.0, 1e-3, 1.0]),
    st.integers(-300, 300).map(lambda e: 10.0**e),
)
parameters = st.fixed_dictionaries(
    {
        "width": st.integers(1, 7),
        "sketch": st.sampled_from(["countsketch", "srht", "gaussian"]),
        "solver": st.sampled_from(["auto", "cg", "direct"]),
        "alpha": numbers_above_zero,
        "damping": numbers_above_zero,
        "batch_size": st.sampled_from(["auto", None, 1, 5]),
        "momentum": st.sampled_from([0.9, 0.0, 0.99]),
        "train_output": st.sampled_from([True, True, True, False]),
        "max_iter": st.integers(1, 20),
        "tol": st.sampled_from([1e-4, 0.0, 1.0]),
        "early_stopping": st.sampled_from([False, False, False, True]),
        "n_members": st.sampled_from([1, 1, 2]),
        "encoding": st.sampled_from([None, None, "piecewise", "auto"]),
        "warm_start": st.booleans(),
        "random_state": st.integers(0, 2**31 - 1),
    }
)


def fit(parameters, X, y, weight):
    """Return the fitted model, or None after an error that is documented."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            return SketchGNRegressor(**parameters).fit(X, y, weight)
        except ValueError as error:
            # An error in the middle of linear algebra is a ValueError, too, and no good message.
            if not re.search(DOCUMENTED, str(error)):
                raise
            return None


def relative_errors(predicted, y, weight):
    """Sums over the outputs of the weighted squared errors of the predictions and of the mean.

    Each output counts in the units in which it was fitted: its own deviation or, where it is
    constant, 1 or its size. Predictions in float32 are granted their rounding.
    """
    y = np.asarray(y, dtype=float).reshape(len(y), -1)
    rounding = 10 * float(np.finfo(predicted.dtype).eps)
    predicted = np.asarray(predicted, dtype=float).reshape(y.shape)
    size = np.abs(y).max(axis=0)
    size[size == 0] = 1.0
    y, predicted, weight = y / size, predicted / size, weight / weight.max()
    weight /= weight.sum()
    mean = weight @ y
    unit = np.sqrt(weight @ (mean - y) ** 2)
    constant = unit <= 100 * np.finfo(float).eps * np.abs(mean)
    unit[constant] = np.minimum(np.abs(mean), 1 / size)[constant]
    unit[unit == 0] = 1.0
    # Its square and that of its inverse are to be finite; rounding is far above.
    unit = np.maximum(unit, 1e-150)
    error, bound = (weight @ ((guess - y) / unit) ** 2 for guess in (predicted, mean))
    # Batches are trained in float32: constant targets are met to 1e-6 of their unit.
    return error.sum(), (bound + (rounding / unit) ** 2 + 1e-12).sum()


@given(data=st.data())
def test_any_finite_table_and_parameters(data, tmp_path_factory):
    n_rows, n_columns = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 5))
    n_outputs = data.draw(st.sampled_from([None, 1, 3]))
    X = in_dtype(data.draw(arrays(n_rows, n_columns)), data.draw(dtypes))
    y = in_dtype(data.draw(arrays(n_rows, n_outputs or 1)), data.draw(dtypes))
    X = laid_out(X, data.draw(layouts), tmp_path_factory.mktemp("X"))
    y = laid_out(y if n_outputs else y[:, 0], data.draw(layouts), tmp_path_factory.mktemp("y"))
    weight, wild = data.draw(weights(n_rows))
    chosen = data.draw(parameters)
    before = np.random.get_state()  # noqa: NPY002
    copies = [None if array is None else np.array(array) for array in (X, y, weight)]

    model = fit(chosen, X, y, weight)
    for array, copy in zip((X, y, weight), copies, strict=True):
        if copy is not None:
            np.testing.assert_array_equal(array, copy)
    after = np.random.get_state()  # noqa: NPY002
    assert all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))
    if model is None:
        return
    used = slice(None) if weight is None else weight > 0
    # Rows that took no part may lie anywhere, 1e300 deviations away as well.
    X_used, y_used = X[used], y[used]
    assume(not chosen["early_stopping"])
    predicted = model.predict(X_used)
    assert np.isfinite(predicted).all()
    again = fit(chosen, X, y, weight)
    np.testing.assert_array_equal(again.predict(X_used), predicted)
    # What will be continued, and the paper's network that starts anywhere, may be worse for now.
    if chosen["train_output"] and not wild and not chosen["warm_start"]:
        weight = np.ones(len(y_used)) if weight is None else weight[used]
        error, bound = relative_errors(predicted, y_used, weight)
        assert error <= (1 + 1e-3) * bound


streams = st.fixed_dictionaries(
    {
        "width": st.integers(1, 5),
        "solver": st.sampled_from(["auto", "cg"]),
        "alpha": st.sampled_from(["auto", 0.0, 1.0, 1e300]),
        "damping": st.sampled_from(["auto", 0.0, 1e-300, 1.0]),
        "batch_size": st.sampled_from(["auto", None, 1, 5]),
        "n_members": st.sampled_from([1, 2]),
        "random_state": st.integers(0, 2**31 - 1),
    }
)


@given(data=st.data())
def test_any_stream_is_followed_or_refused(data):
    n_columns = data.draw(st.integers(1, 3))
    model, rows_seen = SketchGNRegressor(**data.draw(streams)), np.zeros((1, n_columns))
    for _ in range(data.draw(st.integers(1, 4))):
        # The penalty is chosen by 64 rows and more, and of fewer than 32 the mean is learnt.
        n_rows = data.draw(st.sampled_from([1, 5, 40, 70]))
        X, y = data.draw(arrays(n_rows, n_columns)), data.draw(arrays(n_rows, 1))[:, 0]
        weight, _ = data.draw(weights(n_rows))
        before = model.predict(rows_seen) if hasattr(model, "coefs_") else None
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", ConvergenceWarning)
            try:
                model.partial_fit(X, y, weight)
            except ValueError as error:
                if "partial_fit cannot follow this block" not in str(error):
                    raise
                if before is not None:
                    np.testing.assert_array_equal(model.predict(rows_seen), before)
                return
        used = slice(None) if weight is None else weight > 0
        rows_seen = X[used]
        assert np.isfinite(model.predict(rows_seen)).all()


def test_the_outcome_does_not_depend_on_layout(tmp_path, rng):
    X, y = rng.standard_normal((20, 3)), rng.standard_normal((20, 2))
    model = SketchGNRegressor(width=4, max_iter=9, alpha=1.0, random_state=0)
    expected = model.fit(X, y).predict(X)
    for layout in ("Fortran", "strided", "backwards", "read-only", "memory-mapped"):
        other, target = laid_out(X, layout, tmp_path), y
        np.testing.assert_allclose(model.fit(other, target).predict(other), expected, rtol=1e-10)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("magnitude", [1e-200, 1e200])
def test_predictions_beyond_float32_are_float64(dtype, magnitude, rng):
    X, y = rng.standard_normal((20, 3)).astype(dtype), rng.standard_normal(20)
    model = SketchGNRegressor(width=4, max_iter=9, alpha=1.0, random_state=0)
    plain = model.fit(X, y).predict(X)
    scaled = model.fit(X, magnitude * y).predict(X)
    assert scaled.dtype == np.float64
    np.testing.assert_allclose(scaled / magnitude, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("magnitude", [1e-50, 1e45])
def test_one_output_beyond_float32_makes_all_float64(magnitude, rng):
    X, y = rng.standard_normal((20, 3)).astype(np.float32), rng.standard_normal((20, 2))
    y[:, 0] *= magnitude
    model = SketchGNRegressor(width=4, max_iter=9, alpha=1.0, random_state=0).fit(X, y)
    for found, expected in zip(
        model.predict(X, return_std=True),
        model.predict(X.astype(np.float64), return_std=True),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("batch_size", ["auto", 5, None])
@pytest.mark.parametrize("unit", [1e-290, 1e-80, 1e-3, 1e80, 1e290])
def test_the_unit_of_the_weights_does_not_matter(unit, batch_size, rng):
    X, y = rng.standard_normal((30, 3)), rng.standard_normal(30)
    weight = rng.uniform(0.5, 2.0, size=30)
    model = SketchGNRegressor(width=4, max_iter=9, batch_size=batch_size, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        plain = model.fit(X, y, weight)
        expected, alpha = plain.predict(X), plain.alpha_
        predicted = model.fit(X, y, unit * weight).predict(X)
    rtol = 1e-2 if batch_size == 5 else 1e-7
    np.testing.assert_allclose(predicted, expected, rtol=rtol, atol=rtol)
    assert model.alpha_ / unit == pytest.approx(alpha, rel=1e-2)


def test_inputs_of_the_paper_must_be_normalised(rng):
    X, y = 1e200 * rng.standard_normal((20, 3)), rng.standard_normal(20)
    model = SketchGNRegressor(width=4, max_iter=3, train_output=False, random_state=0)
    with pytest.raises(ValueError, match=r"rows of about unit norm, got an entry of size.*e\+200"):
        model.fit(X, y)
