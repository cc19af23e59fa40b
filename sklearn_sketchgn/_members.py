"""Train several networks and average them into one."""

from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event, Lock
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from threadpoolctl import threadpool_limits

from ._schedule import train

# The limit that all fits of the process have in common, and how many they are.
_lock = Lock()
_limit: Any = None
_n_fits = 0


def train_members(
    settings, data, scaling, starts, *, validation=None, n_jobs=None, observers=(), whole=None
):
    """Train one network for every (network, resume, rng) of ``starts``, in parallel threads.

    Observers watch the first member only: they need not know of threads. An interrupt, or an
    observer that asks to stop, ends all members; those that have not taken a step by then are left
    out of the result.

    Raises
    ------
    KeyboardInterrupt
        If none has taken a step.
    """
    stop = Event()
    interrupts: list[KeyboardInterrupt] = []

    def end_if_told(_):
        if stop.is_set():
            raise KeyboardInterrupt

    def run(network, resume, rng, observers):
        try:
            outcome = train(
                settings,
                data,
                network,
                scaling,
                rng,
                validation=validation,
                resume=resume,
                observers=(*observers, end_if_told),
                whole=whole,
            )
        except KeyboardInterrupt as interrupt:
            outcome = None
            interrupts.append(interrupt)
        except BaseException:
            stop.set()
            raise
        if outcome is None or outcome.stop_reason in ("interrupted", "callback"):
            stop.set()
        return outcome

    watched = [(*start, observers if i == 0 else ()) for i, start in enumerate(starts)]
    outcomes = run_members(run, watched, n_jobs=n_jobs, on_interrupt=stop.set)
    outcomes = [outcome for outcome in outcomes if outcome is not None]
    if not outcomes:
        raise interrupts[0] if interrupts else KeyboardInterrupt
    if outcomes[0].stop_reason == "callback":  # that is what interrupted the others
        for outcome in outcomes:
            outcome.stop_reason = "callback"
    elif interrupts:
        outcomes[0].stop_reason = "interrupted"
    return outcomes


def run_members(run, starts, *, n_jobs=None, on_interrupt=None):
    """Return ``run(*start)`` for every start, in parallel threads; a single one in this thread.

    Several members run with one BLAS thread each, restored afterwards: the only place where the
    package touches BLAS threads. No thread goes on when this function ends. An interrupt while
    threads run is raised when they have ended, or, with ``on_interrupt``, handed to that function,
    which has to make them end.
    """

    def quiet(*start):
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return run(*start)

    if len(starts) == 1:
        return [quiet(*starts[0])]
    n_threads = min(effective_n_jobs(n_jobs), len(starts))
    with _one_blas_thread():
        if n_threads == 1:
            return [quiet(*start) for start in starts]
        # Not joblib's pool, which leaves its threads running when it is interrupted.
        with ThreadPoolExecutor(n_threads) as pool:
            futures = []
            try:
                for start in starts:
                    futures.append(pool.submit(quiet, *start))
                wait(futures)
            except KeyboardInterrupt:
                if on_interrupt is None:
                    raise
                on_interrupt()
            return [future.result() for future in futures]


@contextmanager
def _one_blas_thread():
    """Give BLAS one thread until the last of the fits that run at a time has ended.

    With a limit of its own, a fit that begins under another one's would restore that one.
    """
    global _limit, _n_fits
    with _lock:
        if _n_fits == 0:
            _limit = threadpool_limits(limits=1, user_api="blas")
        _n_fits += 1
    try:
        yield
    finally:
        with _lock:
            _n_fits -= 1
            if _n_fits == 0:
                _limit.restore_original_limits()
                _limit = None


def combine(folded):
    """Return (coefs, intercepts) of the mean of several networks, itself one wider network."""
    if len(folded) == 1:
        return folded[0]
    hidden = np.concatenate([coefs[-2] for coefs, _ in folded], axis=1)
    output = np.concatenate([coefs[-1] for coefs, _ in folded]) / len(folded)
    bias = np.concatenate([intercepts[-2] for _, intercepts in folded])
    intercept = np.mean([intercepts[-1] for _, intercepts in folded], axis=0)
    # The layer of ramps, if there is one, is that of all.
    coefs, intercepts = folded[0]
    return [*coefs[:-2], hidden, output], [*intercepts[:-2], bias, intercept]
