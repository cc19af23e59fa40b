"""SketchGNRegressor: parameters, validation, fit and predict."""

import copy
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ._bounds import bounds_of, no_bounds
from ._callbacks import CallbackObserver
from ._compat import (
    CallbackSupportMixin,
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
    with_callbacks,
)
from ._diagnosis import diagnose
from ._early_stopping import hold_out
from ._encoding import check_can_be_encoded
from ._encoding_choice import encoded
from ._export import to_mlp_regressor
from ._fitted_attributes import set_attributes, warn_of_troubles
from ._fitting import fit_members
from ._forward import last_hidden, network_blocks
from ._losses import LOSSES, bounded_exp
from ._moments import fit_moments
from ._parameters import settings_of
from ._partial_fit import advance
from ._pickling import stamped, unstamped
from ._plan import auto_batch_size
from ._reporting import Reporter
from ._scaling import scaling_of
from ._streaming import Stream, can_stream, check_stream, going_on_from, stream_after_fit
from ._training import STOP_REASONS
from ._training_data import check_all_rows
from ._uncertainty import standard_deviation
from ._validation import (
    check_rows_of_the_paper,
    normalised_weights,
    unchanged_on_error,
    validate_inputs,
    validate_training_data,
    validate_validation_data,
)
from ._warm_start import (
    check_not_lost,
    check_resume,
    vary_late,
    with_late_columns,
    with_late_targets,
)
from .sketches import SKETCHES
from .solvers import SOLVERS

# Bound of what is counted: larger numbers are no sizes of arrays.
_MOST = 2**31 - 1


class SketchGNRegressor(CallbackSupportMixin, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Two-layer ReLU network for regression, trained by sketched Gauss-Newton steps.

    Minimises, in standardised units,

        1 / (2 k sum_i s_i) [ sum_i s_i ||f(x_i) - y_i||^2 + alpha k ||coefs||^2 ],

    over f(x) = a' relu(W x + c) + b: first by minibatch Gauss-Newton steps with momentum, then by
    steps on all rows with adaptive damping. Standardisation of inputs and targets is internal and
    folded into the weights, so there is nothing to scale, and no learning rate.

    Parameters
    ----------
    width : int, default=256
        Number of hidden neurons.
    sketch : {"countsketch", "srht", "gaussian"} or Sketch, default="countsketch"
        Random sketch behind the preconditioner of conjugate gradient. Has an effect only when
        ``solver`` is, or chooses, conjugate gradient.
    solver : {"auto", "cg", "direct"} or Solver, default="auto"
        Solves the linear system of a step; "auto" takes the cheaper one for its size.
    alpha : "auto" or float >= 0, default="auto"
        L2 penalty beside the sum over all rows (of all ``sample_weight``), on standardised inputs
        and targets, as in MLPRegressor; hidden biases are penalised too, the output intercept is
        not. "auto" adjusts it during the first part of the batches, by rows that are held out
        meanwhile; up to 8191 rows, the neurons are trained in two to four groups with other rows
        held out each, and averaged. After that, columns that have proved to matter less are
        penalised more, see ``column_penalty_``.
    damping : "auto" or float >= 0, default="auto"
        Damping per unit of weight. A number is constant in the batch phase and the start of the
        adaptive rule on all rows; 0 is never adapted. "auto" starts at 0.04 and, where
        ``alpha`` is searched for, follows the error of the held-out rows: down to 0.001 in the
        search, and after it up to 0.6 where one network is trained on many noisy rows. On batches
        of up to 200 features hidden weights are damped in the metric of the features' covariance.
    batch_size : "auto", int or None, default="auto"
        Rows of a batch. "auto" is 256, or ``512 / n_outputs`` (at least 64) for more than two
        outputs (256 again for so many that a step costs no more), and half of it where the neurons
        are trained in groups and the table does not fit in one batch. None takes adaptive steps on
        all rows only. A table that fits in one batch is trained on all rows in float64. A sparse or
        memory-mapped X of more than 67 million numbers needs a number below that of its rows.
    momentum : float in [0, 1), default=0.9
        Weight of the last step inside the subproblem of the next one.
    train_output : bool, default=True
        False is the paper's network: a fixed output layer of +-1 / sqrt(width), no biases, raw
        inputs (normalise the rows yourself).
    max_iter : "auto" or int, default="auto"
        Most steps of both phases together; a number gives nine tenths to the batches. "auto" is
        1200 to 5400 on batches if ``alpha`` is searched for, about 1500 if it is given (rounded to
        whole epochs, at least one), then at most 10 on all rows, fewer or none where they would
        cost more than half of 1500 batches; with ``batch_size=None`` at most 200. A sparse or
        memory-mapped X of more than 67 million numbers takes steps on batches only.
    tol : float, default=1e-4
        Relative decrease of the objective below which the phase on all rows ends; also the
        relative improvement that early stopping asks for.
    early_stopping : bool, default=False
        Hold out ``validation_fraction`` of the rows (unless ``X_val`` is passed to ``fit``), stop
        when their loss no longer improves, and keep the best network.
    validation_fraction : float in (0, 1), default=0.1
        Fraction of the rows to hold out.
    n_iter_no_change : int, default=10
        Epochs (steps on all rows) without improvement that end an early-stopped fit, counted in
        the second half of the steps that follow the search for ``alpha``.
    n_members : int, default=1
        Number of networks of ``width`` neurons that are trained from different starts and
        averaged into one network of ``n_members * width`` neurons.
    n_jobs : int or None, default=None
        Threads that train members in parallel, each with one BLAS thread.
    loss : {"squared_error", "poisson", "huber"}, default="squared_error"
        Loss function l in the place of (f - y)^2 / 2. "poisson" is half the Poisson deviance with
        a log link, for counts and rates ``y >= 0``: ``predict`` returns exp(f). "huber" grows
        linearly beyond a threshold, 1.35 times the scale of the residuals on held-out rows, for
        targets with gross errors; targets are standardised by median and median absolute
        deviation.
    encoding : {"auto", "piecewise"} or None, default=None
        What the network sees of a column of three values or more. None is the column itself.
        "piecewise" adds up to 16 ramps between its quantiles: for targets that jump, or bend
        sharply, along single columns, where trees win. "auto" trains two probes of 300 steps,
        without and with ramps, and takes the ramps if the loss on rows that were held out is 3 %
        less. Ramps are one more layer in front, see ``coefs_``. Not for a sparse X or one of more
        than some 900 columns, which "auto" leaves as they are, nor for ``train_output=False``. A
        warm start keeps what was chosen, and its knots: a column that varies from then on only
        gets no ramps.
    warm_start : bool, default=False
        Continue from the last fit: its weights, scaling, penalty, damping (unless ``damping`` has
        changed) and momentum. ``alpha="auto"`` is chosen anew only
        if no rows have chosen it so far. Columns must be those of
        the last fit, by name; nothing is gone on from where all targets were constant.
        A pickle holds what a fit goes on from only if this was True when it was written.
    random_state : int, RandomState instance or None, default=None
        Initial weights, batches and sketches.
    verbose : int, default=0
        1 prints one line an epoch of batches or accepted step on all rows, with the time left.

    Attributes
    ----------
    coefs_ : list of two ndarrays of shape (n_features, width) and (width, n_outputs)
        Weights for raw inputs and targets, float64. With ramps there are three: the first, of shape
        (n_features, n_hinges), is that of fixed neurons relu(x - t), which ramps are made of, and
        the second has the shape (n_hinges, width).
    intercepts_ : list of two ndarrays of shape (width,) and (n_outputs,)
        Biases for raw inputs and targets, float64. With ramps there are three.
    input_bounds_ : ndarray of shape (2, n_features)
        Least and largest value of every column that the network is evaluated at: a fifth of the
        column's range beyond that of the training rows. ``predict`` moves an input that lies
        beyond to the bound. Infinite with ``train_output=False``.
    target_bounds_ : ndarray of shape (2, n_outputs)
        Least and largest prediction: likewise for the targets.
    n_iter_ : int
        Steps taken (on the last block, in a stream).
    loss_ : float
        Last entry of ``loss_curve_``. (With held-out rows the network that is kept may be an
        earlier one. Where the mean of the targets is predicted it is the loss of that.)
    loss_curve_ : list of float
        Mean loss: half the mean squared error in the units of ``y ** 2``, the mean Huber loss in
        these units, or half the mean Poisson deviance in the units of ``y``. The first entry is
        that of the initial network, then there is one an epoch of batches (mean over its batches,
        each before its step), then one an accepted step on all rows; and one a block of
        ``partial_fit``, before its steps (of a block of several batches the mean over these, each
        before its own).
    loss_steps_ : list of int
        Steps that were taken when each entry of ``loss_curve_`` was noted, at the end of its epoch
        or block: its place on an axis of steps.
    validation_loss_curve_ : list of float or None
        The same on the held-out rows, None without any.
    alpha_ : float
        The penalty at the end of the batches; of several members their geometric mean. With
        ``alpha="auto"`` and several batches the steps on all rows after them are under one to five
        times as much, see ``history_``.
    column_penalty_ : ndarray of shape (n_features,), or more with ramps
        How many times ``alpha_`` the hidden weights of every column, and then of every ramp, are
        penalised: the less, the more it proved to matter; of several members the geometric mean.
        Ones where ``alpha`` is a number, and where the search for it found nothing or was ended
        early.
    batch_size_ : int or None
        Rows of a batch.
    damping_ : float
        Damping per unit of weight at the end; of a small block in a stream, more than asked for.
    sketch_ : Sketch
        The sketch that was used.
    solver_ : Solver
        The solver that was used.
    stop_reason_ : str
        What ended the fit, in words; of several members that of the first, unless another one was
        interrupted, lacked memory or diverged.
    n_dead_ : int
        Neurons of the last hidden layer that are active on no training row (of the last block, in a
        stream).
    diagnosis_ : list of str
        What may hurt the fit, in words: a column with a value more than 100 standard deviations
        from its mean, or that makes most of its variance; a few values, such as codes for missing
        ones, more than 100 deviations of the others away from these; half of the neurons dead;
        ramps that "auto" could not take. Mostly empty; ``verbose`` prints it.
    history_ : dict of lists
        One entry a step, standardised units: objective (of the batch before the step; of all rows
        after it), damping, alpha, cg_iterations, cg_residual, step_norm, batch_size, flips
        (fraction of activations that changed; nan for batches), events.
    members_ : list of dict
        ``history``, ``loss_curve``, ``validation_loss_curve`` and ``alpha`` of every member. The
        attributes ``history_``, ``n_iter_``, ``damping_`` and all curves are the first one's.
    n_outputs_ : int
        Number of targets.
    out_activation_ : {"identity", "exp"}
        What ``predict`` applies to the output of the network; "exp" with ``loss="poisson"``.
    n_features_in_ : int
        Number of inputs.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the inputs, if X has string column names.

    See Also
    --------
    sklearn.neural_network.MLPRegressor : The same network trained by gradient steps.

    Notes
    -----
    With ``batch_size=None, train_output=False, alpha=0, damping=0, solver="cg"`` the fit is
    Algorithm 1 of the reference; docs/algorithm.md lists the deviations.

    References
    ----------
    van den Brand, Peng, Song, Weinstein, "Training (Overparametrized) Neural Networks in
    Near-Linear Time", ITCS 2021, LIPIcs 185, 63:1-63:15.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_sketchgn import SketchGNRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = SketchGNRegressor(random_state=0).fit(X, y)
    >>> model.predict(X[:2]).shape
    (2,)
    """

    # Set by fit and partial_fit.
    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]
    input_bounds_: np.ndarray
    target_bounds_: np.ndarray
    n_iter_: int
    loss_: float
    loss_curve_: list[float]
    loss_steps_: list[int]
    validation_loss_curve_: list[float] | None
    alpha_: float
    column_penalty_: np.ndarray
    batch_size_: int | None
    damping_: float
    sketch_: Any
    solver_: Any
    stop_reason_: str
    n_dead_: int | None
    diagnosis_: list[str]
    history_: dict[str, list]
    members_: list[dict[str, Any]]
    n_outputs_: int
    out_activation_: str
    n_features_in_: int
    feature_names_in_: np.ndarray
    _stream: Stream
    _resume: tuple[Any, Any]

    _parameter_constraints: dict = {
        "width": [Interval(Integral, 1, _MOST, closed="both")],
        "sketch": [StrOptions(set(SKETCHES)), HasMethods(["draw"])],
        "solver": [StrOptions(set(SOLVERS)), HasMethods(["prepare", "solve"])],
        "alpha": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "damping": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, _MOST, closed="both"), None],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "train_output": ["boolean"],
        "max_iter": [StrOptions({"auto"}), Interval(Integral, 1, _MOST, closed="both")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "n_members": [Interval(Integral, 1, _MOST, closed="both")],
        "n_jobs": [Integral, None],
        "loss": [StrOptions(set(LOSSES))],
        "encoding": [StrOptions({"auto", "piecewise"}), None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    _doc_link_module = "sklearn_sketchgn"
    _doc_link_template = (
        "https://sklearn-sketchgn.readthedocs.io/en/stable/generated/"
        "{estimator_module}.{estimator_name}.html"
    )

    def __init__(
        self,
        width: int = 256,
        *,
        sketch: Any = "countsketch",
        solver: Any = "auto",
        alpha: float | str = "auto",
        damping: float | str = "auto",
        batch_size: int | str | None = "auto",
        momentum: float = 0.9,
        train_output: bool = True,
        max_iter: int | str = "auto",
        tol: float = 1e-4,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        n_members: int = 1,
        n_jobs: int | None = None,
        loss: str = "squared_error",
        encoding: str | None = None,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ):
        self.width = width
        self.sketch = sketch
        self.solver = solver
        self.alpha = alpha
        self.damping = damping
        self.batch_size = batch_size
        self.momentum = momentum
        self.train_output = train_output
        self.max_iter = max_iter
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.n_members = n_members
        self.n_jobs = n_jobs
        self.loss = loss
        self.encoding = encoding
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y,
        sample_weight=None,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
        groups=None,
    ):
        """Fit the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs, finite numbers in any units. Large sparse tables and memory-mapped files are not
            copied; docs/scaling.md.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets in any units.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights >= 0; an integer weight counts as that many copies of the row.
        X_val, y_val, sample_weight_val : array-like or None, default=None
            Held-out rows: the network of least loss on them is kept, the first one included, which
            predicts the mean, whether or not ``early_stopping`` is on. They are moved into
            ``input_bounds_`` first, as ``predict`` does.
        groups : array-like of shape (n_samples,) or None, default=None
            Labels, numbers or strings, of rows that belong together: of one patient, plot or
            batch, say. Whatever is held out within the fit (for ``alpha="auto"``, standard
            deviations, ``early_stopping``, the threshold of ``loss="huber"``) is held out by whole
            groups, so that the fit suits groups that it has not seen. Labels are no inputs. Rows of
            ``X_val`` count one by one.

        Returns
        -------
        self : SketchGNRegressor
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            If a parameter or the data are not as described; the estimator is left as it was.
        """
        with unchanged_on_error(self):
            self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val, groups)
        return self

    @available_if(can_stream)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Learn from one block of a stream, or go on from a fit.

        The scaling is updated by the block, in such a way that predictions do not move. Then one
        pass of batch steps of constant length is taken over it, every row once. The first call
        initialises; until 32 rows have been seen, only the mean of the targets is learnt.
        ``max_iter``, ``tol`` and the adaptive damping belong to ``fit`` and play no part;
        ``alpha="auto"`` is chosen by the first block of at least 64 rows and again each time the
        number of rows has doubled, in units of the sum of the weights seen so far;
        ``batch_size=None`` takes one step on the whole block. ``history_`` and ``n_iter_`` are
        those of the last call, ``loss_curve_`` gets one entry a call.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs of the block, one row or more.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets of the block.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights >= 0; an integer weight counts as that many copies of the row.

        Returns
        -------
        self : SketchGNRegressor
            The estimator itself.

        Raises
        ------
        ValueError
            If a parameter or the data are not as described, do not match the blocks before (in
            their units either, where they are hundreds of orders of magnitude away), or the
            parameters ask for what a stream cannot do; the estimator is left as it was.
        AttributeError
            If ``loss`` is not the squared error, or there is an ``encoding``.
        """
        with unchanged_on_error(self):
            settings = settings_of(self)
            stream = getattr(self, "_stream", None)
            samples, flat = validate_training_data(self, X, y, sample_weight, reset=stream is None)
            n_outputs = samples.y.shape[1]
            check_stream(self, stream, n_outputs)
            check_all_rows(samples.X, self.batch_size)
            if settings.batch_size == "auto":
                settings.batch_size = auto_batch_size(n_outputs)
            seed = None
            if stream is None:
                self._flat_target, self.n_outputs_ = flat, n_outputs
                self.out_activation_ = "identity"
                seed = check_random_state(self.random_state).randint(2**31 - 1)
            curve, steps = getattr(self, "loss_curve_", []), getattr(self, "loss_steps_", [])
            stream, scaling, outcomes = advance(stream, settings, samples, seed=seed)
            folded = set_attributes(self, settings, scaling, outcomes)
            self.loss_curve_ = [*curve, self.loss_]
            self.loss_steps_ = [*steps, (steps[-1] if steps else 0) + self.n_iter_]
            self._stream = stream.with_members(folded, outcomes)
            self.input_bounds_, self.target_bounds_ = self._bounds(stream.x, stream.y)
            if not self._stream.folded:
                self.__dict__.pop("_resume", None)  # nothing is learnt yet but the mean
            self._uncertainty = "partial_fit keeps no rows to estimate one from"
            self._diagnose(samples.X, scaling)
            warn_of_troubles(self, outcomes)
        return self

    def predict(self, X, return_std=False):
        """Predict targets, within the bounds of what was seen in training.

        A row outside of ``input_bounds_`` is predicted as the nearest one inside, and a prediction
        outside of ``target_bounds_`` is moved to the bound: the network itself goes on linearly,
        and one entry that stands for "unknown" would be off by any factor. ``to_mlp_regressor()``
        predicts without bounds. Standard deviations are those of the row as it is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs in the units of the training data.
        return_std : bool, default=False
            Return the standard deviation of new targets about the predictions as well: of the
            noise and of what the training rows leave open. With ``loss="poisson"`` it grows with
            the rate; with ``loss="huber"`` it is that of targets that are no outliers.
            docs/uncertainty.md says how it is computed, how well it is calibrated, and when it is
            too small.

        Returns
        -------
        mean : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions in the units and the shape of the training targets, computed in float64
            and returned in the dtype of X (float32 or float64; always float64 where float32 would
            overflow or vanish).
        std : ndarray of the same shape
            Standard deviation in the units of the targets; only if ``return_std``.

        Raises
        ------
        ValueError
            If ``return_std`` and there is no standard deviation, as after a fit to fewer than five
            different rows, and after ``partial_fit``.
        """
        check_is_fitted(self)
        X = validate_inputs(self, X)
        out = np.empty((X.shape[0], self.n_outputs_))
        hidden, output = self.coefs_[:-1], self.coefs_[-1]
        biases, intercept = self.intercepts_[:-1], self.intercepts_[-1]
        for block in network_blocks(X, self.coefs_):
            values = last_hidden(X[block], hidden, biases, self.input_bounds_)
            out[block] = values @ output + intercept
        if self.out_activation_ == "exp":
            out = bounded_exp(out)
        np.clip(out, *self.target_bounds_, out=out)
        tables = [out, standard_deviation(self, X, out)] if return_std else [out]
        if X.dtype == np.float32 and all(_fits_float32(table) for table in tables):
            tables = [table.astype(np.float32) for table in tables]
        shape = len(out) if self._flat_target else out.shape
        tables = [table.reshape(shape) for table in tables]
        return tuple(tables) if return_std else tables[0]

    def to_mlp_regressor(self):
        """Return a fitted MLPRegressor with the same weights and predictions.

        Returns
        -------
        sklearn.neural_network.MLPRegressor
            Predicts the same to round-off, but for rows and predictions outside of
            ``input_bounds_`` and ``target_bounds_``, where it goes on linearly, and in the shape
            (n_samples,) for a single target. Loads in skops without a trust list, and the stock
            ONNX converter takes it, but for ``loss="poisson"``; of k targets skl2onnx 1.20
            returns the predictions in one column. With ramps float32, as in ONNX, has three
            digits where columns have heavy tails.

        Raises
        ------
        ValueError
            With ``loss="poisson"`` below scikit-learn 1.7, whose MLPRegressor has no such loss.
        """
        check_is_fitted(self)
        return to_mlp_regressor(self)

    def set_params(self, **params):
        """Set parameters; ``sketch__...`` and ``solver__...`` need an object, not a string.

        Parameters
        ----------
        **params : dict
            Parameters of the estimator or, after a double underscore, of its strategies.

        Returns
        -------
        self : SketchGNRegressor
            The estimator itself.
        """
        for key in params:
            name, nested, _ = key.partition("__")
            value = params.get(name, getattr(self, name, None))
            has_none = isinstance(value, type) or not hasattr(value, "set_params")
            if nested and name in _EXAMPLES and has_none:
                raise ValueError(
                    f"Cannot set {key!r} while {name}={value!r} is no object with parameters; pass "
                    f"one, such as {name}={_EXAMPLES[name]}, together with or before it."
                )
        return super().set_params(**params)

    def __getstate__(self):
        state = super().__getstate__()
        if not self.warm_start:  # which takes as much as the weights
            state = {name: value for name, value in state.items() if name != "_resume"}
        return stamped(state)

    def __setstate__(self, state):
        super().__setstate__(unstamped(state))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.encoding != "piecewise"
        tags.target_tags.positive_only = self.loss == "poisson"
        return tags

    # Pieces of fit ----------------------------------------------------------------------------

    @with_callbacks
    def _fit(self, X, y, sample_weight, X_val, y_val, sample_weight_val, groups):
        settings = settings_of(self)
        given = (X, y, sample_weight)
        reset = not self._goes_on()
        samples, flat = validate_training_data(self, X, y, sample_weight, groups, reset=reset)
        if self.batch_size is None:
            check_all_rows(samples.X, None)  # before anything is copied
        if not self.train_output:
            check_rows_of_the_paper(samples.X)
        loss_function = settings.loss_function
        loss_function.check_targets(samples.y)
        weight, settings.weight_unit = normalised_weights(samples.weight)
        samples, n_outputs = samples._replace(weight=weight), samples.y.shape[1]
        held_out = validate_validation_data(
            self, X_val, y_val, sample_weight_val, n_outputs, loss_function
        )
        rng = self._generator()
        if self.early_stopping and held_out is None:
            samples, held_out = hold_out(samples, self.validation_fraction, rng)
        check_all_rows(samples.X, self.batch_size)
        X, y, weight, _ = samples
        unit = settings.weight_unit
        moments = [fit_moments(table, weight).in_weight_unit(unit) for table in (X, y)]
        scaling, resume = self._resumed(settings, moments, samples)
        if resume:
            moments = going_on_from(self._stream, *moments)
        else:
            scaling = self._scaling(settings, moments, samples)
            scaling = encoded(settings, samples, scaling, rng)
        if scaling.ramps is not None:
            check_can_be_encoded(X)
            check_all_rows(X, self.batch_size, scaling.n_inputs)
        self._flat_target = flat
        callbacks = self._train_and_keep(
            settings, given, samples, held_out, scaling, moments, rng, resume
        )
        self._close(callbacks)

    def _train_and_keep(
        self, settings, given, samples, held_out, scaling, moments, rng, resume, whole=None
    ):
        """Train, set the fitted attributes, and return the callbacks that are to be closed."""
        self.n_outputs_ = samples.y.shape[1]
        self.out_activation_ = settings.loss_function.out_activation
        bounds = self._bounds(*moments)
        n_rows = len(samples.y) if whole is None else len(whole)

        def keep(model, settings, outcomes, seed):
            folded = set_attributes(model, settings, scaling, outcomes)
            model.input_bounds_, model.target_bounds_ = (bound.copy() for bound in bounds)
            model._stream = stream_after_fit(
                moments,
                n_rows,
                seed,
                folded,
                model.alpha_,
                model.column_penalty_,
                chosen=all(outcome.training.alpha_is_chosen for outcome in outcomes),
            )

        def so_far(watch):
            """Return the attributes of a fit that ends now, but for those that need its rows."""
            model = copy.copy(self)
            keep(model, watch.settings, [watch.outcome()], 0)
            model.n_members = 1  # the others are not known here
            model._uncertainty = "its fit has not ended"
            model.n_dead_, model.diagnosis_ = None, []
            return vars(model)

        callbacks = CallbackObserver(self, given, so_far)
        observers = (*([Reporter()] if self.verbose else []), callbacks)
        settings, outcomes, self._uncertainty = fit_members(
            settings,
            samples,
            held_out,
            scaling,
            rng,
            bounds=bounds[0],
            resume=resume,
            observers=observers,
            whole=whole,
        )
        keep(self, settings, outcomes, int(rng.integers(2**31 - 1)))
        self._diagnose(samples.X, scaling)
        warn_of_troubles(self, outcomes)
        return callbacks

    def _close(self, callbacks):
        try:
            callbacks.close()
        except KeyboardInterrupt:  # what has been fitted by now is kept, as it is before
            self.stop_reason_ = STOP_REASONS["interrupted"]

    def _bounds(self, x_moments, y_moments):
        if self.train_output:
            return bounds_of(x_moments), bounds_of(y_moments)
        return no_bounds(self.n_features_in_), no_bounds(self.n_outputs_)

    def _diagnose(self, X, scaling):
        names = getattr(self, "feature_names_in_", None)
        self.n_dead_, self.diagnosis_ = diagnose(
            X,
            scaling,
            self.coefs_,
            self.intercepts_,
            names,
            may_be_encoded=self.encoding == "auto",
        )
        for sentence in self.diagnosis_ if self.verbose else ():
            print(sentence)

    def _generator(self):
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        return np.random.default_rng(seed)

    def _goes_on(self):
        """Return whether a fit goes on from an earlier one, whose columns are expected again."""
        return self.warm_start and hasattr(self, "_resume")

    def _scaling(self, settings, moments, samples):
        """Return the scaling by the moments of inputs and targets, as the loss wants it."""
        scaling = scaling_of(*moments, scale_inputs=self.train_output)
        return settings.loss_function.rescale_targets(scaling, samples.y, samples.weight)

    def _resumed(self, settings, moments, samples):
        """Return (scaling, trainings) of the fit that this one goes on from, or (None, None)."""
        if not self._goes_on():
            check_not_lost(self)
            return None, None
        check_resume(self._resume, settings, samples.y.shape[1])
        x_moments, y_moments = moments
        late = vary_late(self._stream.y, y_moments)
        if late.all():
            return None, None  # neither a scale nor a penalty is known from constant targets
        resume = self._resume
        if late.any():
            resume = with_late_targets(*resume, self._scaling(settings, moments, samples), late)
        return with_late_columns(*resume, x_moments)


_EXAMPLES = {"sketch": "CountSketch()", "solver": "CG()"}


def _fits_float32(values):
    """Return whether all columns do: each has its own unit."""
    # Of the smallest numbers of float32 six digits are to be left.
    info, size = np.finfo(np.float32), np.max(np.abs(values), axis=0, initial=0.0)
    fits = (1e6 * float(info.tiny) < size) & (size <= float(info.max))
    return bool(np.all(fits | (size == 0)))
