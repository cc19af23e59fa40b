"""From the parameters of an estimator to the settings of one fit."""

from typing import Any

import numpy as np

from ._losses import LOSSES
from ._settings import Settings
from ._strategies import resolve_strategy
from .sketches import SKETCHES
from .solvers import SOLVERS


def settings_of(estimator):
    """Return the :class:`Settings` that the parameters of an estimator ask for.

    Raises
    ------
    ValueError, TypeError
        If parameters do not go together, or a strategy is none.
    """

    def number(value):
        return None if isinstance(value, str) else value

    of_the_paper = {"n_members": 1, "loss": "squared_error", "encoding": None}
    for name, needed in of_the_paper.items() if not estimator.train_output else ():
        got = getattr(estimator, name)
        if got != needed:
            raise ValueError(
                f"train_output=False (the paper's network) needs {name}={needed!r}; got {got!r}."
            )
    sketch: Any = resolve_strategy(estimator.sketch, SKETCHES, name="sketch", methods=("draw",))
    if type(sketch) in SKETCHES.values():
        sketch.draw(1, 1, np.random.default_rng(0))  # checks parameters that few fits make use of
    return Settings(
        width=int(estimator.width),  # products of a narrow numpy integer overflow
        train_output=estimator.train_output,
        n_members=estimator.n_members,
        n_jobs=estimator.n_jobs,
        alpha=number(estimator.alpha),
        damping=number(estimator.damping),
        batch_size=estimator.batch_size,
        # A numpy scalar would turn float32 vectors into float64 ones.
        momentum=float(estimator.momentum),
        max_iter=number(estimator.max_iter),
        tol=estimator.tol,
        n_iter_no_change=estimator.n_iter_no_change if estimator.early_stopping else np.inf,
        solver=resolve_strategy(
            estimator.solver, SOLVERS, name="solver", methods=("prepare", "solve")
        ),
        sketch=sketch,
        to_be_continued=estimator.warm_start,
        loss_function=LOSSES[estimator.loss](),
        encoding=estimator.encoding,
    )
