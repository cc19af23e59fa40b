"""A picture of whether predicted standard deviations can be trusted."""

from numbers import Real

import numpy as np
from scipy.stats import norm

from ._compat import check_matplotlib_support

_KINDS = ("calibration", "predictions")


class UncertaintyDisplay:
    """Standard deviations of predictions against the errors that they should describe.

    Create it by :meth:`from_estimator` or :meth:`from_predictions`, with rows that the estimator
    was not fitted to.

    Parameters
    ----------
    y_true : ndarray of shape (n_samples,)
        Targets.
    y_pred : ndarray of shape (n_samples,)
        Predictions.
    y_std : ndarray of shape (n_samples,)
        Their standard deviations.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes of the last plot.
    figure_ : matplotlib.figure.Figure
        Figure of the last plot.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_sketchgn import SketchGNRegressor, UncertaintyDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = SketchGNRegressor(width=16, random_state=0).fit(X[:300], y[:300])
    >>> UncertaintyDisplay.from_estimator(model, X[300:], y[300:])
    <...>
    >>> plt.show()
    """

    def __init__(self, *, y_true, y_pred, y_std):
        self.y_true = np.asarray(y_true)
        self.y_pred = np.asarray(y_pred)
        self.y_std = np.asarray(y_std)

    @classmethod
    def from_estimator(cls, estimator, X, y, *, kind="calibration", level=0.9, ax=None):
        """Predict with standard deviations and plot.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``predict(X, return_std=True)``; for one target.
        X : array-like of shape (n_samples, n_features)
            Inputs that the estimator was not fitted to.
        y : array-like of shape (n_samples,)
            Their targets.
        kind : {"calibration", "predictions"}, default="calibration"
            See :meth:`plot`.
        level : float in (0, 1), default=0.9
            See :meth:`plot`.
        ax : matplotlib.axes.Axes or None, default=None
            Axes to plot on; None makes new ones.

        Returns
        -------
        UncertaintyDisplay
            The display, plotted.
        """
        y_pred, y_std = estimator.predict(X, return_std=True)
        return cls.from_predictions(y, y_pred, y_std, kind=kind, level=level, ax=ax)

    @classmethod
    def from_predictions(cls, y_true, y_pred, y_std, *, kind="calibration", level=0.9, ax=None):
        """Plot given predictions and standard deviations.

        Parameters
        ----------
        y_true, y_pred, y_std : array-like of shape (n_samples,)
            Targets, predictions, and standard deviations of the predictions.
        kind : {"calibration", "predictions"}, default="calibration"
            See :meth:`plot`.
        level : float in (0, 1), default=0.9
            See :meth:`plot`.
        ax : matplotlib.axes.Axes or None, default=None
            Axes to plot on; None makes new ones.

        Returns
        -------
        UncertaintyDisplay
            The display, plotted.

        Raises
        ------
        ValueError
            If the three differ in length, are not one-dimensional or hold NaN, or a deviation is
            negative.
        """
        arrays = [np.asarray(values, dtype=np.float64) for values in (y_true, y_pred, y_std)]
        arrays = [values[:, 0] if values.shape[1:] == (1,) else values for values in arrays]
        shapes = [values.shape for values in arrays]
        if arrays[0].ndim != 1 or len(set(shapes)) > 1 or not len(arrays[0]):
            raise ValueError(
                "UncertaintyDisplay shows one target: y_true, y_pred and y_std must be "
                f"one-dimensional, not empty and of one length; got shapes {shapes}."
            )
        for name, values in zip(("y_true", "y_pred", "y_std"), arrays, strict=True):
            if np.isnan(values).any():
                raise ValueError(f"Input {name} contains NaN.")
        if not (arrays[2] >= 0).all():
            raise ValueError(f"y_std must not be negative; the smallest is {arrays[2].min()}.")
        y_true, y_pred, y_std = arrays
        return cls(y_true=y_true, y_pred=y_pred, y_std=y_std).plot(kind=kind, level=level, ax=ax)

    def coverage(self, level):
        """Return the share of targets within the central normal intervals of a level.

        Parameters
        ----------
        level : float in [0, 1] or array-like
            Expected share.

        Returns
        -------
        float or ndarray
            Actual share.

        Raises
        ------
        ValueError
            If a level is not in [0, 1].
        """
        level = np.asarray(level, dtype=np.float64)
        if not ((level >= 0) & (level <= 1)).all():
            raise ValueError(f"level must be in [0, 1]; got {level}.")
        # Of level 1 everything is inside: not infinity times a deviation of 0.
        deviations = np.minimum(norm.ppf(0.5 + level / 2), np.finfo(np.float64).max)
        error = np.abs(self.y_true - self.y_pred)
        with np.errstate(over="ignore", invalid="ignore"):
            inside = error <= deviations[..., None] * self.y_std
        # At level 0, too, where an infinite deviation is multiplied by 0.
        inside |= np.isposinf(self.y_std)
        return (inside | (level == 1)[..., None]).mean(axis=-1)

    def plot(self, *, kind="calibration", level=0.9, ax=None):
        """Plot.

        Parameters
        ----------
        kind : {"calibration", "predictions"}, default="calibration"
            "calibration" draws the share of targets inside of the intervals against the share that
            they promise: below the diagonal the deviations are too small. "predictions" draws
            targets against predictions with their intervals.
        level : float in (0, 1), default=0.9
            Share that the intervals of "predictions" promise, and that the title tells of.
        ax : matplotlib.axes.Axes or None, default=None
            Axes to plot on; None makes new ones.

        Returns
        -------
        UncertaintyDisplay
            This display.

        Raises
        ------
        ValueError
            If ``kind`` or ``level`` is not as described.
        """
        if kind not in _KINDS:
            raise ValueError(f"kind must be one of {', '.join(map(repr, _KINDS))}; got {kind!r}.")
        if not isinstance(level, Real) or not 0 < float(level) < 1:
            raise ValueError(f"level must be a number between 0 and 1; got {level!r}.")
        check_matplotlib_support("UncertaintyDisplay.plot")
        import matplotlib.pyplot as plt  # here only: the package runs without it

        if ax is None:
            _, ax = plt.subplots(figsize=(5, 5), layout="constrained")
        (self._draw_calibration if kind == "calibration" else self._draw_predictions)(ax, level)
        ax.set_title(f"{level:.0%} intervals hold {self.coverage(level):.0%} of the targets")
        ax.grid(alpha=0.3)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_calibration(self, ax, level):
        levels = np.linspace(0, 0.99, 100)
        actual = self.coverage(levels)
        ax.plot([0, 1], [0, 1], "--", color="0.4", lw=1)
        ax.plot(levels, actual, color="tab:blue", lw=2)
        below = actual < levels
        ax.fill_between(levels, actual, levels, where=below, color="tab:red", alpha=0.25)
        ax.fill_between(levels, actual, levels, where=~below, color="tab:blue", alpha=0.15)
        ax.plot(level, self.coverage(level), "o", color="tab:blue", ms=9)
        ax.text(0.03, 0.94, "deviations too large", color="tab:blue")
        ax.text(0.97, 0.04, "deviations too small", color="tab:red", ha="right")
        ax.set(xlabel="share of targets promised inside", ylabel="share of targets inside")
        ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")

    def _draw_predictions(self, ax, level):
        half = norm.ppf(0.5 + level / 2) * self.y_std
        inside = np.abs(self.y_true - self.y_pred) <= half
        limits = [
            min(self.y_true.min(), self.y_pred.min()),
            max(self.y_true.max(), self.y_pred.max()),
        ]
        ax.plot(limits, limits, "--", color="0.4", lw=1)
        for chosen, colour, label in (
            (inside, "tab:blue", "inside"),
            (~inside, "tab:red", "outside"),
        ):
            ax.errorbar(
                self.y_true[chosen], self.y_pred[chosen], half[chosen], fmt="o", ms=4, lw=0.8,
                alpha=0.7, color=colour, label=f"{chosen.mean():.0%} {label}",
            )  # fmt: skip
        ax.legend(loc="upper left", frameon=False)
        ax.set(xlabel="target", ylabel=f"prediction with its {level:.0%} interval")
