"""DaskSketchGNRegressor: fit where the rows are, predict lazily."""

import copy
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from .._compat import Interval, with_callbacks
from .._network import Network
from .._parameters import settings_of
from .._plan import BATCH_STEPS, auto_batch_size
from .._regressor import SketchGNRegressor
from .._streaming import going_on_from
from .._validation import validate_validation_data
from . import _inputs, _predictions
from ._raw_table import RawTable
from ._rounds import Rounds, running_client

# The rows that the steps on batches visit under a fixed alpha with the default batch size: a larger
# sample would not be used once. (A search for alpha visits it two to four times.)
SAMPLE_SIZE = BATCH_STEPS * auto_batch_size(1)

# Sets the draw of the sample apart from all others of the same seed.
_SAMPLE_KEY = 2**31


def _no_stream(estimator):
    raise AttributeError(
        "DaskSketchGNRegressor has no partial_fit; to_local() returns a SketchGNRegressor that "
        "goes on from this fit by partial_fit."
    )


class DaskSketchGNRegressor(SketchGNRegressor):
    """The regressor for tables on the workers of a Dask cluster; rows stay where they are.

    The steps on batches run on the client's side, on a random sample of the rows. Then come steps
    on all rows: each worker multiplies by the Jacobian of its own blocks, and vectors of one number
    a parameter are summed over the workers. Only the sample is ever moved.

    Parameters
    ----------
    width : int, default=256
        Number of hidden neurons.
    client : distributed.Client or None, default=None
        Client of the cluster; None is the default one at the time of use. It is not pickled.
    sample_size : int, default=384000
        Most rows of the sample, drawn by ``random_state`` from every block in proportion to its
        rows. The default is what the 1500 steps of a fixed ``alpha`` on batches of 256 visit;
        384,000 rows of 30 inputs take 95 MB. Tables with fewer targets than the network has
        parameters are gathered whole, and fitted as :class:`.SketchGNRegressor` fits them.
    sketch : {"countsketch", "srht", "gaussian"} or Sketch, default="countsketch"
        As in :class:`.SketchGNRegressor`. On all rows it is S = [S_1 S_2 ...] with an independent
        part for every block.
    solver : {"auto", "cg", "direct"} or Solver, default="auto"
        As in :class:`.SketchGNRegressor`. "direct" sums J'J over the workers in every accepted
        step; conjugate gradient sums one vector an iteration.
    alpha : "auto" or float >= 0, default="auto"
        As in :class:`.SketchGNRegressor`; "auto" is chosen by the sample.
    damping : "auto" or float >= 0, default="auto"
        As in :class:`.SketchGNRegressor`.
    batch_size : "auto", int or None, default="auto"
        As in :class:`.SketchGNRegressor`; None takes steps on all rows only.
    momentum : float in [0, 1), default=0.9
        As in :class:`.SketchGNRegressor`.
    train_output : bool, default=True
        As in :class:`.SketchGNRegressor`.
    max_iter : "auto" or int, default="auto"
        As in :class:`.SketchGNRegressor`, but "auto" always takes up to 10 steps on all rows.
    tol : float, default=1e-4
        As in :class:`.SketchGNRegressor`.
    early_stopping : bool, default=False
        As in :class:`.SketchGNRegressor`, but True needs ``X_val`` and ``y_val`` in ``fit``.
    validation_fraction : float in (0, 1), default=0.1
        Of ``to_local()`` only: nothing is held out of the rows on a cluster.
    n_iter_no_change : int, default=10
        As in :class:`.SketchGNRegressor`.
    n_members : int, default=1
        As in :class:`.SketchGNRegressor`.
    n_jobs : int or None, default=None
        Threads on the client's side that train members in parallel.
    loss : {"squared_error", "poisson", "huber"}, default="squared_error"
        As in :class:`.SketchGNRegressor`; the threshold of "huber" and its scaling of the targets
        are those of the sample.
    warm_start : bool, default=False
        As in :class:`.SketchGNRegressor`.
    random_state : int, RandomState instance or None, default=None
        Initial weights, the sample, its batches and sketches.
    verbose : int, default=0
        As in :class:`.SketchGNRegressor`.

    Attributes
    ----------
    client_ : distributed.Client
        The client in use.
    communication_ : dict
        ``rounds``, ``bytes_out``, ``bytes_in`` of the steps on all rows, ``n_blocks``,
        ``n_workers``, and the same counts ``by_kind``: "products" (one J'J v each), "trials" (loss
        and gradient at another network), "matrices" (a sketch or J'J). ``bytes_out`` counts an
        array once a worker, ``bytes_in`` every partial sum once, as if it always left its worker;
        both without the headers of messages.
    coefs_, intercepts_, alpha_, history_, ...
        As in :class:`.SketchGNRegressor`. ``n_dead_``, ``diagnosis_`` and the standard deviations
        of ``predict`` are those of the sample.

    See Also
    --------
    sklearn_sketchgn.SketchGNRegressor : The same for arrays in memory.

    Notes
    -----
    Steps on all rows are in float64. A worker that is lost takes no result with it: Dask computes
    its blocks again elsewhere, and the sum over the blocks is the same to the last bit.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn_sketchgn.dask import DaskSketchGNRegressor
    >>> client = Client(processes=False, dashboard_address=None)  # doctest: +SKIP
    >>> X = da.random.random((100_000, 10), chunks=(20_000, 10))
    >>> model = DaskSketchGNRegressor(width=64).fit(X, X.sum(axis=1))  # doctest: +SKIP
    >>> model.predict(X)  # doctest: +SKIP
    dask.array<predict_block, shape=(100000,), dtype=float64, chunksize=(20000,), ...>
    """

    _parameter_constraints: dict = {
        **SketchGNRegressor._parameter_constraints,
        "client": "no_validation",
        "sample_size": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        width: int = 256,
        *,
        client: Any = None,
        sample_size: int = SAMPLE_SIZE,
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
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ):
        super().__init__(
            width,
            sketch=sketch,
            solver=solver,
            alpha=alpha,
            damping=damping,
            batch_size=batch_size,
            momentum=momentum,
            train_output=train_output,
            max_iter=max_iter,
            tol=tol,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            n_members=n_members,
            n_jobs=n_jobs,
            loss=loss,
            warm_start=warm_start,
            random_state=random_state,
            verbose=verbose,
        )
        self.client = client
        self.sample_size = sample_size

    @property
    def client_(self):
        """The client in use; RuntimeError if there is none or it is not connected."""
        return running_client(self.client)

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

        What can be known without computing is checked first: the client, types, chunks and their
        sizes. One pass over the rows checks the numbers and computes the scaling.

        Parameters
        ----------
        X : dask array of shape (n_samples, n_features) or dask dataframe
            Inputs, real numbers. Blocks of rows may differ in size and may be empty, but hold whole
            rows. Not persisted here: what does not stay in memory is read again if a worker is
            lost.
        y : dask array of shape (n_samples,) or (n_samples, n_outputs), series or dataframe
            Targets, in the same blocks of rows.
        sample_weight : dask array of shape (n_samples,), series or None, default=None
            Weights >= 0, in the same blocks of rows.
        X_val, y_val, sample_weight_val : array-like or None, default=None
            Held-out rows in memory; see :meth:`.SketchGNRegressor.fit`.
        groups : dask array of shape (n_samples,), series or None, default=None
            Labels of rows that are held out together, in the same blocks of rows; see
            :meth:`.SketchGNRegressor.fit`. They are used on the sample.

        Returns
        -------
        self : DaskSketchGNRegressor
            The fitted estimator.

        Raises
        ------
        RuntimeError
            If there is no client, or it is not connected.
        TypeError, ValueError
            If a parameter or the data are not as described; the estimator is left as it was.
        """
        return super().fit(X, y, sample_weight, X_val, y_val, sample_weight_val, groups)

    partial_fit = available_if(_no_stream)(SketchGNRegressor.partial_fit)

    def predict(self, X, return_std=False):
        """Predict targets, lazily for Dask collections.

        Parameters
        ----------
        X : dask array of shape (n_samples, n_features), dask dataframe or array-like
            Inputs in the units of the training data.
        return_std : bool, default=False
            Return the standard deviation of the targets about the predictions as well.

        Returns
        -------
        mean : dask array of shape (n_samples,) or (n_samples, n_outputs)
            Lazy predictions in float64, one chunk a block of rows; of unknown length for a
            dataframe. For an array in memory what :meth:`.SketchGNRegressor.predict` returns.
        std : dask array of the same shape
            Only if ``return_std``.
        """
        if not _inputs.is_collection(X):
            return super().predict(X, return_std=return_std)
        check_is_fitted(self)
        _inputs.check_inputs(X)
        validate_data(self, _inputs.example_of(X), skip_check_array=True, reset=False)
        return _predictions.predict(self, X, return_std=return_std)

    def score(self, X, y, sample_weight=None):
        """Return R^2, for Dask collections by one pass over the blocks of rows.

        Parameters
        ----------
        X : dask array of shape (n_samples, n_features), dask dataframe or array-like
            Inputs.
        y : dask array of shape (n_samples,) or (n_samples, n_outputs), or what X is
            Targets, in the same blocks of rows.
        sample_weight : dask array of shape (n_samples,), series, array-like or None, default=None
            Weights >= 0, in the same blocks of rows.

        Returns
        -------
        float
            R^2 of the predictions, averaged over outputs.
        """
        if not _inputs.is_collection(X):
            return super().score(X, y, sample_weight)
        check_is_fitted(self)
        client = self.client_
        blocks = _inputs.raw_blocks(client, X, y, sample_weight)
        validate_data(self, _inputs.example_of(X), skip_check_array=True, reset=False)
        if _inputs.n_columns(y) != self.n_outputs_:
            raise ValueError(
                f"y has {_inputs.n_columns(y)} outputs; expected {self.n_outputs_} as in fit."
            )
        return _predictions.score(client, blocks, _predictions.lean_copy(self))

    def to_local(self):
        """Return a fitted :class:`.SketchGNRegressor` with the same predictions, free of Dask.

        Returns
        -------
        SketchGNRegressor
            Shares nothing with this estimator, and pickles without Dask.
        """
        check_is_fitted(self)
        parameters = self.get_params(deep=False)
        # Those of this class, or of one derived from it, are none of a plain regressor.
        shared = {n: getattr(self, n) for n in SketchGNRegressor._get_param_names()}
        local = SketchGNRegressor(**{n: clone(v, safe=False) for n, v in shared.items()})
        kept = {n: v for n, v in vars(self).items() if n not in parameters}
        local.__dict__.update(copy.deepcopy(kept))
        return local

    def __getstate__(self):
        return {**super().__getstate__(), "client": None}

    def __sklearn_clone__(self):
        # The client is shared: it cannot be copied, and a copy of this estimator goes without.
        twin = super(DaskSketchGNRegressor, copy.copy(self)).__sklearn_clone__()
        twin.client = self.client
        return twin

    # Pieces of fit ----------------------------------------------------------------------------

    @with_callbacks
    def _fit(self, X, y, sample_weight, X_val, y_val, sample_weight_val, groups):
        settings, client = settings_of(self), self.client_
        if self.early_stopping and X_val is None:
            raise ValueError(
                "early_stopping=True needs X_val and y_val: rows on a cluster are not held out."
            )
        blocks = _inputs.raw_blocks(client, X, y, sample_weight, groups)
        reset = not self._goes_on()
        validate_data(self, _inputs.example_of(X), skip_check_array=True, reset=reset)
        flat, n_outputs = y.ndim == 1, 1 if y.ndim == 1 else y.shape[1]
        loss_function = settings.loss_function
        held_out = validate_validation_data(
            self, X_val, y_val, sample_weight_val, n_outputs, loss_function
        )
        raw = RawTable(client, blocks, loss_function, self.train_output)
        settings.weight_unit = raw.weight_unit
        rng = self._generator()
        n_parameters = self._n_parameters(X.shape[1], n_outputs)
        distributed = raw.n_rows * n_outputs > n_parameters
        size = min(self.sample_size, raw.n_rows) if distributed else raw.n_rows
        entropy = rng.bit_generator.seed_seq.entropy
        samples = raw.sample(size, [entropy, _SAMPLE_KEY])
        scaling, resume = self._resumed(settings, (raw.x, raw.y), samples)
        if resume:
            moments = going_on_from(self._stream, raw.x, raw.y)
        else:
            moments = raw.x, raw.y
            scaling = self._scaling(settings, moments, samples)
        whole = None
        if distributed:
            if not getattr(settings.solver, "distributed", False):
                raise TypeError(
                    f"solver={settings.solver!r} does not say that it can solve for rows on a "
                    "cluster. Set `distributed = True` in its class if the methods that "
                    "docs/scaling.md lists are all that it needs of a Jacobian; or take "
                    'solver="cg", or fit a sample by SketchGNRegressor.'
                )
            whole = raw.table(loss_function.target_scaling(scaling))
        del raw, blocks  # the cluster may forget the raw rows
        self.__dict__.pop("communication_", None)  # that of another fit
        self._flat_target = flat
        callbacks = self._train_and_keep(
            settings,
            (X, y, sample_weight),
            samples,
            held_out,
            scaling,
            moments,
            rng,
            resume,
            whole,
        )
        self.communication_ = _report(client, whole)
        self._close(callbacks)

    def _n_parameters(self, n_features, n_outputs):
        hidden = np.empty((self.width, n_features + int(self.train_output)))
        output, intercept = np.empty((self.width, n_outputs)), np.empty(n_outputs)
        return Network(hidden, output, intercept, self.train_output).n_parameters


def _report(client, whole):
    return (Rounds(client, [], []) if whole is None else whole.rounds).report()
