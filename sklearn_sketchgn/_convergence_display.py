"""ConvergenceDisplay: how a fit went, as a picture."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._compat import check_matplotlib_support
from ._regressor import SketchGNRegressor

_BORDER_LABEL = "batches end, steps on all rows begin"

_LOSS_LABELS = {
    "squared_error": "half the mean squared error",
    "poisson": "half the mean Poisson deviance",
    "huber": "mean Huber loss",
}


class ConvergenceDisplay:
    """Losses over the steps of a fit, and below them the damping and the CG iterations.

    Make one with :meth:`from_estimator`. A panel for the damping is drawn where it adapts, and one
    for the iterations of conjugate gradient where it ran.

    Parameters
    ----------
    steps : array-like of shape (n_losses,)
        Steps taken before each loss.
    loss : array-like of shape (n_losses,)
        Training losses.
    validation_loss : array-like of shape (n_losses,) or None, default=None
        Losses on the held-out rows.
    damping : array-like of shape (n_steps,) or None, default=None
        Damping of every step, per unit of weight.
    cg_iterations : array-like of shape (n_steps,) or None, default=None
        Iterations of conjugate gradient of every step.
    n_batch_steps : int or None, default=None
        Steps on batches; the others were taken on all rows. None draws no border between them.
    loss_label : str, default="half the mean squared error"
        What the losses are.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    ax_ : matplotlib.axes.Axes
        The panel of the losses.
    axes_ : list of matplotlib.axes.Axes
        All panels, from above.
    loss_line_, validation_line_, damping_line_, cg_line_, border_line_ : Line2D or None
        What was drawn; None for what there is not.
    best_point_ : Line2D or None
        Marks the least validation loss, whose network is kept.

    See Also
    --------
    SketchGNRegressor : Its ``loss_curve_`` and ``history_`` are what is shown.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_sketchgn import ConvergenceDisplay, SketchGNRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = SketchGNRegressor(width=16, max_iter=20, random_state=0).fit(X, y)
    >>> display = ConvergenceDisplay.from_estimator(model)
    >>> display.ax_.get_ylabel()
    'half the mean squared error'
    """

    def __init__(
        self,
        *,
        steps,
        loss,
        validation_loss=None,
        damping=None,
        cg_iterations=None,
        n_batch_steps=None,
        loss_label=_LOSS_LABELS["squared_error"],
    ):
        self.steps = steps
        self.loss = loss
        self.validation_loss = validation_loss
        self.damping = damping
        self.cg_iterations = cg_iterations
        self.n_batch_steps = n_batch_steps
        self.loss_label = loss_label

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **line_kw):
        """Plot how a fit went.

        After ``partial_fit`` the losses are those of the blocks, each before it was learnt, and
        only they are shown, because ``history_`` belongs to the last block.

        Parameters
        ----------
        estimator : SketchGNRegressor
            Fitted. Of several members the first is shown.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw the losses, and nothing else; None makes a figure.
        **line_kw : dict
            Passed to ``matplotlib.axes.Axes.plot`` for the curves of losses.

        Returns
        -------
        ConvergenceDisplay
            With the attributes above.

        Raises
        ------
        TypeError
            If the estimator has no curve to show.
        sklearn.exceptions.NotFittedError
            If it is not fitted.
        """
        if not isinstance(estimator, SketchGNRegressor):
            raise TypeError(
                "ConvergenceDisplay.from_estimator needs a SketchGNRegressor; got "
                f"{type(estimator).__name__}. Of a pipeline pass the last step, pipeline[-1]; of a "
                "search pass search.best_estimator_."
            )
        check_is_fitted(estimator)
        curves: dict = {"steps": estimator.loss_steps_, "loss": estimator.loss_curve_}
        if not estimator._stream.n_blocks:
            history = estimator.history_
            curves["validation_loss"] = estimator.validation_loss_curve_
            curves["damping"] = history["damping"]
            curves["cg_iterations"] = history["cg_iterations"]
            # Flips of activations are counted on all rows only.
            curves["n_batch_steps"] = int(np.isnan(history["flips"]).sum())
        # The parameter may have been changed since.
        curves["loss_label"] = _LOSS_LABELS[estimator._fitted_loss]
        return cls(**curves).plot(ax, **line_kw)

    def plot(self, ax=None, **line_kw):
        """Plot what the display holds.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw the losses, and nothing else; None makes a figure with a panel for each
            of losses, damping and iterations that has something to show.
        **line_kw : dict
            Passed to ``matplotlib.axes.Axes.plot`` for the curves of losses.

        Returns
        -------
        ConvergenceDisplay
            The display itself.
        """
        check_matplotlib_support("ConvergenceDisplay.plot")
        adapts = self.damping is not None and len(set(self.damping)) > 1
        iterates = self.cg_iterations is not None and max(self.cg_iterations, default=0) > 0
        self.axes_ = [ax] if ax is not None else _panels(1 + adapts + iterates)
        self.ax_, *below = self.axes_
        self.figure_ = self.ax_.figure
        self._plot_losses(line_kw)
        self.damping_line_ = self.cg_line_ = None
        if adapts and below:
            self.damping_line_ = _plot_steps(below[0], self.damping, "damping")
            if max(self.damping) > 10 * min(self.damping) > 0:
                below[0].set_yscale("log")
                below[0].tick_params(which="minor", labelleft=False)  # they would overlap
        if iterates and below:
            self.cg_line_ = _plot_steps(below[-1], self.cg_iterations, "CG iterations")
            below[-1].set_ylim(bottom=0)
        self._plot_border()
        self.axes_[-1].set_xlabel("step")
        self.ax_.legend()
        return self

    def _plot_losses(self, line_kw):
        ax = self.ax_
        (self.loss_line_,) = ax.plot(self.steps, self.loss, **{"label": "training loss", **line_kw})
        self.validation_line_ = self.best_point_ = None
        losses = list(self.loss)
        if self.validation_loss is not None:
            losses += list(self.validation_loss)
            (self.validation_line_,) = ax.plot(
                self.steps, self.validation_loss, **{**line_kw, "label": "validation loss"}
            )
            best = int(np.argmin(self.validation_loss))
            (self.best_point_,) = ax.plot(
                self.steps[best],
                self.validation_loss[best],
                "o",
                color=self.validation_line_.get_color(),
                label="least: this network is kept",
            )
        if min(losses) > 0:
            ax.set_yscale("log")
        ax.set_ylabel(self.loss_label)

    def _plot_border(self):
        self.border_line_ = None
        n_steps = len(self.damping) if self.damping is not None else 0
        if not self.n_batch_steps or self.n_batch_steps >= n_steps:
            return
        # Several fits in one picture need one entry in its legend.
        labelled = _BORDER_LABEL in [line.get_label() for line in self.ax_.lines]
        style = {"color": "0.6", "linestyle": "--", "linewidth": 1}
        label = None if labelled else _BORDER_LABEL
        self.border_line_ = self.ax_.axvline(self.n_batch_steps, label=label, **style)
        for ax in self.axes_[1:]:
            ax.axvline(self.n_batch_steps, **style)


def _panels(n_panels):
    """Return that many panels of a new figure, the first one the highest."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        n_panels,
        sharex=True,
        squeeze=False,
        figsize=(6.4, 3.6 + 1.3 * (n_panels - 1)),
        height_ratios=[2.5] + [1] * (n_panels - 1),
        layout="constrained",
    )
    return list(axes[:, 0])


def _plot_steps(ax, values, label):
    """Plot one value a step, each at the end of its step."""
    (line,) = ax.plot(np.arange(1, len(values) + 1), values, color="0.35", drawstyle="steps-pre")
    ax.set_ylabel(label)
    return line
