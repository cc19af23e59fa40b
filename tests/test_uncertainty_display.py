"""UncertaintyDisplay."""

import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from sklearn_sketchgn import SketchGNRegressor, UncertaintyDisplay


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def normal_errors(rng):
    std = rng.uniform(0.5, 2, size=20_000)
    return std * rng.standard_normal(20_000), np.zeros(20_000), std


@pytest.mark.parametrize("kind", ["calibration", "predictions"])
def test_from_estimator(kind):
    X, y = load_diabetes(return_X_y=True)
    model = SketchGNRegressor(width=8, max_iter=30, random_state=0).fit(X[:300], y[:300])
    _, ax = plt.subplots()
    display = UncertaintyDisplay.from_estimator(model, X[300:], y[300:], kind=kind, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    mean, std = model.predict(X[300:], return_std=True)
    np.testing.assert_array_equal(display.y_pred, mean)
    np.testing.assert_array_equal(display.y_std, std)
    inside = np.mean(np.abs(y[300:] - mean) <= 1.6448536 * std)
    assert ax.get_title() == f"90% intervals hold {inside:.0%} of the targets"
    assert ax.get_xlabel() and ax.get_ylabel()
    again = display.plot(kind=kind, level=0.5)
    assert again is display
    assert display.ax_ is not ax
    assert display.ax_.get_title().startswith("50% intervals")


def test_coverage_of_normal_errors(normal_errors):
    display = UncertaintyDisplay.from_predictions(*normal_errors)
    levels = np.array([0.1, 0.5, 0.9, 0.99])
    np.testing.assert_allclose(display.coverage(levels), levels, atol=0.015)
    assert display.coverage(0.9) == pytest.approx(0.9, abs=0.015)
    curve = display.ax_.lines[1].get_xydata()
    np.testing.assert_allclose(curve[:, 1], curve[:, 0], atol=0.015)


def test_deviations_that_are_too_small_are_below_the_diagonal(normal_errors):
    y, mean, std = normal_errors
    curve = UncertaintyDisplay.from_predictions(y, mean, 0.5 * std).ax_.lines[1].get_xydata()
    assert (curve[5:, 1] < curve[5:, 0]).all()


def test_the_level_is_marked_on_the_curve_and_its_sides_are_named(normal_errors):
    display = UncertaintyDisplay.from_predictions(*normal_errors, level=0.7)
    *_, point = display.ax_.lines
    assert point.get_marker() == "o"
    np.testing.assert_array_equal(point.get_xydata(), [[0.7, display.coverage(0.7)]])
    above, below = sorted(display.ax_.texts, key=lambda text: text.get_position())
    for text, words, side in ((above, "too large", 1), (below, "too small", -1)):
        assert text.get_text() == f"deviations {words}"
        x, y = text.get_position()
        assert side * (y - x) > 0.5


def test_intervals_of_predictions_and_their_shares():
    y, mean = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.5, 1.0, 2.0, 9.0])
    std = np.array([1.0, 0.5, 2.0, 1.0])
    display = UncertaintyDisplay.from_predictions(y, mean, std, kind="predictions", level=0.8)
    ax, half = display.ax_, 1.2815516 * std
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["75% inside", "25% outside"]
    assert ax.get_ylabel() == "prediction with its 80% interval"
    for (points, _, (bars,)), rows in zip(ax.containers, ([0, 1, 2], [3]), strict=True):
        np.testing.assert_array_equal(points.get_xydata(), np.column_stack([y, mean])[rows])
        ends = [[[y[i], mean[i] - half[i]], [y[i], mean[i] + half[i]]] for i in rows]
        np.testing.assert_allclose(bars.get_segments(), ends, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2], [1.0, 2], [1.0]), r"of one length; got shapes \[\(2,\), \(2,\), \(1,\)\]"),
        ((np.ones((3, 2)),) * 3, "shows one target"),
        (([], [], []), "not empty"),
        (([1.0], [1.0], [-1.0]), "y_std must not be negative; the smallest is -1.0"),
        (([np.nan], [1.0], [1.0]), "Input y_true contains NaN"),
        (([1.0], [1.0], [np.nan]), "Input y_std contains NaN"),
    ],
)
def test_bad_arrays(arguments, message):
    with pytest.raises(ValueError, match=message):
        UncertaintyDisplay.from_predictions(*arguments)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"kind": "scatter"}, "kind must be one of 'calibration', 'predictions'; got 'scatter'"),
        ({"level": "a"}, "level must be a number between 0 and 1; got 'a'"),
        ({"level": 90}, "level must be a number between 0 and 1; got 90"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        UncertaintyDisplay.from_predictions([1.0], [1.0], [1.0], **parameters)


def test_levels_of_a_coverage():
    display = UncertaintyDisplay(y_true=[1.0, 2.0], y_pred=[1.0, 2.5], y_std=[0.0, 1.0])
    np.testing.assert_array_equal(display.coverage([0.0, 0.2, 0.9, 1.0]), [0.5, 0.5, 1.0, 1.0])
    for level in (-0.1, 2, np.nan):
        with pytest.raises(ValueError, match=r"level must be in \[0, 1\]; got"):
            display.coverage(level)


def test_an_infinite_deviation_holds_everything():
    display = UncertaintyDisplay(y_true=[1.0, 2.0], y_pred=[1.0, 2.5], y_std=[np.inf, np.inf])
    np.testing.assert_array_equal(display.coverage([0.0, 0.9, 1.0]), [1.0, 1.0, 1.0])
    # One that is no number holds nothing.
    display = UncertaintyDisplay(y_true=[1.0, 2.0], y_pred=[1.0, 2.5], y_std=[np.nan, np.inf])
    np.testing.assert_array_equal(display.coverage([0.0, 0.9]), [0.5, 0.5])


def test_a_column_is_taken_as_one_target():
    column = np.ones((4, 1))
    assert UncertaintyDisplay.from_predictions(column, column, column).y_true.shape == (4,)


def test_matplotlib_is_imported_only_for_plotting():
    code = "import sys, sklearn_sketchgn; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
