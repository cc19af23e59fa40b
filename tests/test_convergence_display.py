"""ConvergenceDisplay in scikit-learn's convention."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline

from sklearn_sketchgn import ConvergenceDisplay, SketchGNRegressor

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def fitted(table, *, validation=False, **parameters):
    X, y = table
    few = {"width": 8, "max_iter": 30, "alpha": 1.0, "random_state": 0}
    held_out = {"X_val": X[:100], "y_val": y[:100]} if validation else {}
    return SketchGNRegressor(**{**few, **parameters}).fit(X, y, **held_out)


def test_curves_of_both_phases(diabetes):
    model = fitted(diabetes, validation=True, solver="cg", tol=0.0, max_iter=60)
    display = ConvergenceDisplay.from_estimator(model)
    x, y = display.loss_line_.get_data()
    np.testing.assert_array_equal(x, model.loss_steps_)
    np.testing.assert_array_equal(y, model.loss_curve_)
    np.testing.assert_array_equal(
        display.validation_line_.get_ydata(), model.validation_loss_curve_
    )
    assert display.best_point_.get_ydata()[0] == min(model.validation_loss_curve_)
    np.testing.assert_array_equal(display.damping_line_.get_ydata(), model.history_["damping"])
    np.testing.assert_array_equal(display.damping_line_.get_xdata(), 1 + np.arange(model.n_iter_))
    np.testing.assert_array_equal(display.cg_line_.get_ydata(), model.history_["cg_iterations"])
    assert display.border_line_.get_xdata()[0] == 54  # nine tenths of 60
    assert len(display.axes_) == 3
    assert display.ax_ is display.axes_[0]
    assert display.figure_ is display.ax_.figure
    assert display.ax_.get_yscale() == "log"
    assert display.axes_[-1].get_xlabel() == "step"
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels[:2] == ["training loss", "validation loss"]
    assert "steps on all rows begin" in labels[-1]


def test_what_there_is_not_is_not_drawn(diabetes):
    model = fitted(diabetes, solver="direct", max_iter=5)
    display = ConvergenceDisplay.from_estimator(model)
    assert display.validation_line_ is None
    assert display.best_point_ is None
    assert display.cg_line_ is None
    assert display.damping_line_ is None  # five steps on batches only
    assert display.border_line_ is None
    assert display.axes_ == [display.ax_]


def test_all_rows_only(diabetes):
    model = fitted(diabetes, solver="direct", batch_size=None, tol=0.01)
    display = ConvergenceDisplay.from_estimator(model)
    assert display.border_line_ is None
    assert display.damping_line_ is not None


@pytest.mark.parametrize(
    ("loss", "label"), [("poisson", "half the mean Poisson deviance"), ("huber", "mean Huber loss")]
)
def test_the_loss_has_its_name(loss, label, diabetes):
    X, y = diabetes
    model = SketchGNRegressor(width=4, max_iter=3, alpha=1.0, loss=loss, random_state=0).fit(X, y)
    assert ConvergenceDisplay.from_estimator(model).ax_.get_ylabel() == label


def test_a_stream_shows_the_losses_of_its_blocks(diabetes):
    X, y = diabetes
    model = fitted(diabetes, solver="cg")
    for start in range(0, 400, 50):
        model.partial_fit(X[start : start + 50], y[start : start + 50])
    display = ConvergenceDisplay.from_estimator(model)
    np.testing.assert_array_equal(display.loss_line_.get_ydata(), model.loss_curve_)
    assert display.axes_ == [display.ax_]
    first = SketchGNRegressor(width=8, alpha=1.0).partial_fit(X, y)
    assert len(ConvergenceDisplay.from_estimator(first).loss_line_.get_xdata()) == 1


def test_an_axes_of_the_user(diabetes):
    _, ax = plt.subplots()
    model = fitted(diabetes, solver="cg")
    display = ConvergenceDisplay.from_estimator(model, ax=ax, color="red", label="mine")
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert display.axes_ == [ax]
    assert display.loss_line_.get_color() == "red"
    assert display.loss_line_.get_label() == "mine"
    assert display.damping_line_ is None
    twice = ConvergenceDisplay.from_estimator(model, ax=ax)
    labels = [text.get_text() for text in twice.ax_.get_legend().get_texts()]
    assert sum("all rows" in label for label in labels) == 1
    again = display.plot()
    assert again is display
    assert display.ax_ is not ax


def test_a_display_of_ones_own():
    display = ConvergenceDisplay(steps=[0, 1, 2], loss=[1.0, 0.5, 0.0]).plot()
    assert display.ax_.get_yscale() == "linear"  # a loss of zero has no logarithm
    assert display.axes_ == [display.ax_]


def test_the_least_validation_loss_is_marked_at_its_step():
    display = ConvergenceDisplay(
        steps=[0, 10, 20, 30], loss=[4.0, 2.0, 1.0, 0.5], validation_loss=[4.0, 3.0, 2.0, 5.0]
    ).plot()
    np.testing.assert_array_equal(display.best_point_.get_xydata(), [[20.0, 2.0]])
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["training loss", "validation loss", "least: this network is kept"]


@pytest.mark.parametrize(("last", "scale"), [(2.0, "linear"), (0.01, "log"), (0.0, "linear")])
def test_damping_of_several_magnitudes_has_a_logarithmic_axis(last, scale):
    display = ConvergenceDisplay(steps=[0, 2], loss=[2.0, 1.0], damping=[1.0, last]).plot()
    assert [ax.get_yscale() for ax in display.axes_] == ["log", scale]


def test_the_border_is_drawn_in_all_panels():
    display = ConvergenceDisplay(
        steps=[0, 3, 5],
        loss=[3.0, 2.0, 1.0],
        damping=[1, 1, 1, 2, 3],
        cg_iterations=[1, 2, 3, 4, 5],
        n_batch_steps=3,
    ).plot()
    assert len(display.axes_) == 3
    for ax in display.axes_:
        np.testing.assert_array_equal(ax.lines[-1].get_xdata(), [3, 3])


def test_what_cannot_be_shown(diabetes):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        ConvergenceDisplay.from_estimator(SketchGNRegressor())
    for other in (make_pipeline(fitted(diabetes, max_iter=5)), MLPRegressor()):
        with pytest.raises(TypeError, match=r"needs a SketchGNRegressor; got (Pipeline|MLP)"):
            ConvergenceDisplay.from_estimator(other)


def test_matplotlib_is_imported_for_plotting_only():
    code = "import sys, sklearn_sketchgn; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_losses_are_labelled_as_they_were_fitted(diabetes):
    model = fitted(diabetes, max_iter=5, loss="huber").set_params(loss="poisson")
    assert "oisson" not in ConvergenceDisplay.from_estimator(model).ax_.get_ylabel()
