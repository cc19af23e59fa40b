"""Train several networks and average them into one."""

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from ._schedule import train


def train_members(
    settings, data, scaling, starts, *, validation=None, n_jobs=None, observers=(), whole=None
):
    """Train one network for every (network, resume, rng) of ``starts``, in parallel threads.

    Observers watch the first member only: they need not know of threads.
    """

    def run(network, resume, rng, observers):
        return train(
            settings,
            data,
            network,
            scaling,
            rng,
            validation=validation,
            resume=resume,
            observers=observers,
            whole=whole,
        )

    watched = [(*start, observers if i == 0 else ()) for i, start in enumerate(starts)]
    return run_members(run, watched, n_jobs=n_jobs)


def run_members(run, starts, *, n_jobs=None):
    """Return ``run(*start)`` for every start, in parallel threads; a single one in this thread.

    Several members run with one BLAS thread each, restored afterwards: the only place where the
    package touches BLAS threads.
    """

    def quiet(*start):
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return run(*start)

    if len(starts) == 1:
        return [quiet(*starts[0])]
    with threadpool_limits(limits=1, user_api="blas"):
        return Parallel(n_jobs=n_jobs, prefer="threads")(delayed(quiet)(*start) for start in starts)


def combine(folded):
    """Return (coefs, intercepts) of the mean of several networks, itself one wider network."""
    if len(folded) == 1:
        return folded[0]
    hidden = np.concatenate([coefs[0] for coefs, _ in folded], axis=1)
    output = np.concatenate([coefs[1] for coefs, _ in folded]) / len(folded)
    bias = np.concatenate([intercepts[0] for _, intercepts in folded])
    intercept = np.mean([intercepts[1] for _, intercepts in folded], axis=0)
    return [hidden, output], [bias, intercept]
