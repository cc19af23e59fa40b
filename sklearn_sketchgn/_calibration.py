"""Calibrate the standard deviation: the ridge, the noise and the correction of ``_uncertainty.py``.

They are those under which errors on rows that were not trained on are most likely: rows of the
user's, or some that a rehearsal of the fit goes without. (alpha is no substitute for the ridge: a
fit ends long before the linearised problem is solved, and by its leave-one-out errors the bands
would be several times too wide.)
"""

import numpy as np
from scipy.linalg import LinAlgError

from ._blas import product
from ._error_scale import fit_error_scale
from ._folds import even_places
from ._members import combine
from ._posterior import Posterior, leverage_at
from ._rehearsal import held_out_rows, rehearse
from ._robust_scale import weighted_quantile
from ._tables import subset
from ._tangent_kernel import TangentKernel
from ._uncertainty import Uncertainty

# Rows a fit must have visited for each row that enters the posterior: this keeps the cost at a
# small share of the fit's. In any case 256 rows, and no more than 4096.
_VISITED_PER_ROW, _FEWEST_ROWS, _MOST_ROWS = 64, 256, 4096

# Rows that take part at all, and held-out rows that calibrate.
_SAMPLE, _JUDGES = 2**15, 2048

# Candidates for the prior standard deviation of f on an average row, in target deviations.
_PRIOR_DEVIATIONS = np.logspace(1, -1, 17)

# Deviations beyond which a held-out row says nothing. Still a number in float32.
_LARGEST = 1e30

# Variances and ridges are at least this, so that nothing divided by them overflows.
_LEAST = 1e-100

# Log likelihoods this close are as good: the 95 % interval of one parameter.
_TIE = 2.0

# A central interval of a normal distribution, and half of its width in deviations.
_LEVEL, _WIDTH = 0.9, 1.6448536269514722


def fit_uncertainty(outcomes, data, validation, scaling, *, batch_size, rng, n_jobs):
    """Return the :class:`Uncertainty` of a fit, or a sentence that says why there is none.

    Parameters
    ----------
    outcomes : list of Outcome
        The members.
    data : TrainingData
        Scaled training rows; with more than 32,768 a random subset of them is used.
    validation : TrainingData or None
        Rows that were not trained on. None rehearses the fit on part of the rows.
    scaling : Scaling
        Of the fit.
    batch_size : int or None
        That of the fit.
    rng : numpy.random.Generator
        Source of subsets and rehearsals.
    n_jobs : int or None
        Threads for several members.

    Returns
    -------
    Uncertainty or str
        A string where there are too few rows, memory or digits, or an interrupt came: a fit that
        has ended is not lost for want of it.
    """
    try:
        return _fit(outcomes, data, validation, scaling, batch_size, rng, n_jobs)
    except KeyboardInterrupt:
        return "it was interrupted while its standard deviation was being estimated"
    except MemoryError:
        return "there was not enough memory to estimate one"
    except LinAlgError as error:
        return f"a factorisation failed while it was being estimated ({error})"


def _fit(outcomes, data, validation, scaling, batch_size, rng, n_jobs):
    folded = [scaling.fold(outcome.training.network) for outcome in outcomes]
    train_output = outcomes[0].training.network.train_output
    network = scaling.unfold(*combine(folded), train_output=train_output)
    loss = outcomes[0].training.loss_function
    total = data.weight
    data = data.part(subset(len(data), _SAMPLE, rng))
    found = _unseen(outcomes, network, data, validation, batch_size, rng, n_jobs)
    if found is None:
        return "it was fitted to fewer than five different rows, or to one group"
    held_out, judges, errors = found
    errors = loss.without_outliers(errors, judges.weights)
    # Written so that NaN counts as too large.
    near = all((np.abs(block.rows) < _LARGEST).all() for block in judges.blocks())
    if not near or not (errors < _LARGEST**2).all():
        return "its held-out rows or the errors there are beyond any scale"
    picked = subset(len(judges), _JUDGES, rng)
    visited = sum(outcomes[0].training.history["batch_size"])
    n_rows = int(np.clip(visited // _VISITED_PER_ROW, _FEWEST_ROWS, _MOST_ROWS))
    chosen = subset(len(data), n_rows, rng)
    rows = data.part(chosen)
    posterior = Posterior(
        TangentKernel.of(network, len(outcomes)),
        rows,
        held_out[chosen],
        # Counted in distinct rows: neither units of weights nor a repetition of all rows matter.
        total / (data.weight / even_places(data, rng).n_distinct),
        _curvature(network, rows, loss),
        rng,
    )
    judges, errors = judges.part(picked), errors[picked]
    # Errors of a group go together: it says as much as one row does.
    weights = judges.weights / (judges.weight / even_places(judges, rng).n_apart)
    return _calibrated(
        posterior, rows, judges, weights, errors, network, loss, scaling, len(outcomes)
    )


def _unseen(outcomes, network, data, validation, batch_size, rng, n_jobs):
    """Return which rows are held out, rows not trained on, and the squared errors there.

    None where there are too few rows to hold some out.
    """
    loss = outcomes[0].training.loss_function
    if validation is not None:
        # Rows that the scaling does not come from can be any number of deviations away.
        with np.errstate(over="ignore", invalid="ignore"):
            errors = _squares(network.evaluate(validation.rows), validation, loss)
        return np.zeros(len(data), dtype=bool), validation, errors
    held_out = held_out_rows(data, rng)
    if not held_out.any() or held_out.all():
        return None
    predictions = rehearse(outcomes, data, held_out, batch_size=batch_size, rng=rng, n_jobs=n_jobs)
    judges = data.part(held_out)
    return held_out, judges, _expected_squares(network, predictions, data, held_out, judges, loss)


def _calibrated(posterior, rows, judges, weights, errors, network, loss, scaling, n_members):
    """Choose the ridge, the noise and the correction by squared errors on unseen rows."""
    coordinates, diagonal = posterior.images(judges)
    outputs = [network.evaluate(block.unweighted(block.rows)) for block in judges.blocks()]
    variance = loss.variance(loss.expected(np.concatenate(outputs)))
    kept_eigenvalues, kept_vectors = posterior.kept
    ridge, spread = _choose_ridge(
        product(coordinates, kept_vectors),
        kept_eigenvalues,
        diagonal,
        variance,
        errors,
        weights,
    )
    noise, log_weights, log_range = fit_error_scale(coordinates, errors / spread, weights)
    eigenvalues, vectors = posterior.whole
    squares = _squares(network.evaluate(rows.rows), rows, loss)
    squares = loss.without_outliers(squares, rows.weights)
    size = weights @ (spread * np.exp(coordinates @ log_weights)) / weights.sum()
    noise = np.maximum(noise, _least_variance(squares, rows.weights) / size)
    return Uncertainty(
        loss=loss.name,
        scaling=scaling,
        n_members=n_members,
        train_output=posterior.kernel.train_output,
        inducing=posterior.inducing,
        projection=product(posterior.basis, vectors),
        eigenvalues=eigenvalues,
        ridge=ridge,
        noise=noise,
        log_weights=vectors.T @ log_weights,
        log_range=log_range,
    )


def _least_variance(squares, weights):
    """Return the variance of which the training rows leave no more than 10 % out of 90 %.

    New rows err no less than those that the network was fitted to, whatever a few held-out rows
    say by chance. By a quantile: one outlier among the rows is to widen no interval but its own.
    """
    return weighted_quantile(squares, weights, _LEVEL) / _WIDTH**2


def _squares(values, data, loss):
    """Return squared errors in units of the variance that the loss expects of them."""
    expected = loss.expected(data.unweighted(values))
    return (data.unweighted(data.targets) - expected) ** 2 / loss.variance(expected)


def _curvature(network, data, loss):
    """Return the curvature of the loss at every row, the mean over its outputs."""
    by_block = []
    for block in data.blocks():
        f = block.unweighted(network.evaluate(block.rows))
        by_block.append(loss.formulas(f, block.unweighted(block.targets))[2].mean(axis=1))
    return np.concatenate(by_block)


def _expected_squares(network, predictions, data, held_out, judges, loss):
    """Return squared errors to expect of the network on the held-out rows, had it not seen them.

    Its own squared residuals there, plus what a rehearsal adds to its training error on rows that
    it has not seen. (Its squared errors alone are too large where it is not finished: it had
    fewer steps than the fit.)
    """
    residuals = _squares(network.evaluate(judges.rows), judges, loss)
    weights = data.weights
    squares = loss.without_outliers(_squares(predictions, data, loss), weights)
    seen = weights[~held_out] @ squares[~held_out] / weights[~held_out].sum()
    unseen = weights[held_out] @ squares[held_out] / weights[held_out].sum()
    share = np.maximum(unseen - seen, 0) / np.maximum(unseen, np.finfo(float).tiny)
    return residuals + share * squares[held_out]


def _choose_ridge(coordinates, eigenvalues, diagonal, variance, errors, weights):
    """Return a ridge under which the squared errors are likely, and 1 + V j'(J'J + ridge I)^-1 j.

    Candidates are ridges for which the prior deviation of f on an average row is between 0.1 and
    10 deviations of the target. Unseen rows that lie among the others say little about the prior,
    and a wide one is the safe side away from them: of all whose likelihood is within ``_TIE``
    nats of the best, the widest is taken.
    """
    total = float(weights.sum())
    share = weights / total
    level = np.maximum(share @ errors, _LEAST)
    typical = float(share @ diagonal) * float(level.mean())
    ridges = np.maximum(typical / _PRIOR_DEVIATIONS**2, _LEAST)
    misfits = np.empty(len(ridges))
    for i, ridge in enumerate(ridges):
        spread = 1 + variance * leverage_at(coordinates, eigenvalues, diagonal, ridge)[:, None]
        scale = np.maximum(share @ (errors / spread), _LEAST)
        misfits[i] = 0.5 * total * np.mean(np.log(scale) + share @ np.log(spread))
    ridge = float(ridges[np.argmax(misfits <= misfits.min() + _TIE)])
    return ridge, 1 + variance * leverage_at(coordinates, eigenvalues, diagonal, ridge)[:, None]
