"""The rows of a table on a cluster, as the phase on all rows sees them.

Everything is in the space of the parameters: a vector with one number a row is never formed. Those
that a step meets have the form a r + J v and are kept as (a, v), because

    J' (a r + J v) = a J'r + J'J v,
    (a r + J v)' (b r + J w) = a b r'r + (a w + b v)' J'r + v' J'J w,

so that J'r and r'r, which come with the loss at a point, and products with J'J are all it takes:
one round of communication each.
"""

from dataclasses import dataclass, replace
from threading import local
from typing import Any

import numpy as np

from .._plan import FINAL_STEPS
from .._step import Subproblem
from . import _blocks
from ._sketch import BlockwiseSketch


@dataclass
class Point:
    """A network on the cluster, and what one round over the blocks says of it."""

    network: Any
    future: Any
    gradient: np.ndarray
    squares: np.ndarray
    residual_square: float
    n_flips: float


class DistributedTable:
    """Stands for the :class:`TrainingData` of all rows in ``run_all_rows``.

    Parameters
    ----------
    rounds : Rounds
        Over the blocks of scaled rows.
    n_rows, weight : int, float
        Their number and the sum of their weights.
    """

    def __init__(self, rounds, n_rows, weight):
        self.rounds, self.n_rows, self.weight = rounds, n_rows, weight
        # The point of the last trial, from which an accepted step goes on, and the one before it.
        # Several networks may train at a time, each in a thread of its own.
        self._last = local()

    def __len__(self):
        return self.n_rows

    def plan(self, plan, settings):
        """Return the plan of a fit whose second phase is here: the full number of steps.

        What such a step costs beside one on a batch does not bound them, as it does in memory.
        """
        if settings.batch_size is None:
            return plan
        if settings.max_iter is None:
            return replace(plan, all_steps=FINAL_STEPS)
        all_steps = settings.max_iter // 10
        in_batches = plan.batch_steps + plan.all_steps - all_steps
        return replace(plan, batch_steps=in_batches, all_steps=all_steps)

    def take_over(self, training):
        """Go on with a training on a sample of the rows, in float64; return this table."""
        training.network = training.network.astype(np.float64)
        training.total_weight = self.weight
        self._last.point = self._last.start = None
        return self

    def subproblem(self, network, alpha, loss_function, coordinates=None):
        """Linearise on all rows; without communication where a trial has just been there."""
        point = getattr(self._last, "point", None)
        if point is None or point.network is not network:
            point = self._last.point = self._look(network, loss_function, None)
        self._last.start = point
        return DistributedSubproblem(self, point, alpha, loss_function, coordinates)

    def squared_loss(self, network, loss_function):
        """Return ||root_loss||^2 of a network, and keep the rest of what the round says."""
        self._last.point = self._look(network, loss_function, self._last.start)
        return float(self._last.point.squares.sum())

    def flips(self, hidden):
        """Return the share of activations that the last trial changed."""
        point = self._last.point
        return point.n_flips / (self.n_rows * len(hidden))

    def _look(self, network, loss_function, start):
        n_bytes = 8 * network.n_parameters
        future = self.rounds.share(network, "trials", n_bytes)
        before = None if start is None else start.future
        numbers = self.rounds.total(
            _blocks.look, "trials", network=future, loss_function=loss_function, before=before
        )
        gradient, tail = numbers[: network.n_parameters], numbers[network.n_parameters :]
        return Point(network, future, gradient, tail[:-2], float(tail[-2]), float(tail[-1]))


class DistributedSubproblem(Subproblem):
    """The :class:`Subproblem` of all rows of a table on a cluster."""

    def __init__(self, table, point, alpha, loss_function, coordinates=None):
        self._set_parameters(point.network, alpha, loss_function, coordinates)
        outward = self._times(np.ones(len(self.theta)), self._outward)
        self.jacobian = DistributedJacobian(table, point, loss_function, outward)
        self.residual = RowVector(self.jacobian, 1.0, None)
        self._squares = point.squares

    def value(self):
        """Return 1/2 ||root_loss||^2 + 1/2 alpha theta' P theta."""
        return 0.5 * (float(self._squares.sum()) + self.alpha * self.size())

    def squares(self):
        """Return ||root_loss||^2 by output."""
        return self._squares

    def sketch_of_rows(self, sketch):
        """Return the strategy that draws one part of a sketch for every block."""
        return BlockwiseSketch(sketch)


class DistributedJacobian:
    """J T at one point, known by its products: what solvers use of :class:`Jacobian`.

    T is a diagonal matrix, ``outward``, known here only. The side of the parameters is always the
    smaller one: see ``_estimator.py``.
    """

    dtype = np.dtype(np.float64)

    def __init__(self, table, point, loss_function, outward):
        self._table, self._point, self._loss_function = table, point, loss_function
        self._outward = outward
        self.n_samples = len(table)
        self.width, self.n_features = point.network.hidden.shape
        self.n_outputs = point.network.output.shape[1]
        self.shape = (self.n_samples * self.n_outputs, point.network.n_parameters)

    def matvec(self, vector):
        """Return J T v, without communication."""
        return RowVector(self, 0.0, vector)

    def rmatvec(self, rows):
        """Return T J' (a r + J T v): no round, or one."""
        product = rows.share * (self._outward * self._point.gradient)
        return product if rows.vector is None else product + self.normal_product(rows.vector)

    def residual_square(self):
        """Return r'r."""
        return self._point.residual_square

    def normal_product(self, vector):
        """Return T J'J T v: one round of as many numbers as there are parameters."""
        future = self._table.rounds.share(self._outward * vector, "products", vector.nbytes)
        return self._outward * self._total(_blocks.normal_product, "products", vector=future)

    def lower_normal(self):
        """Return T J'J T with its lower triangle filled."""
        normal = np.asfortranarray(self._total(_blocks.lower_normal, "matrices"))
        normal *= self._outward
        normal *= self._outward[:, None]
        return normal

    def sketched_rows(self, drawn):
        """Return S J T for a drawn :class:`BlockwiseSketch`."""
        sketched = self._total(
            _blocks.sketched_rows,
            "matrices",
            sketch=drawn.sketch,
            sketch_size=drawn.shape[0],
            seed=drawn.seed,
        )
        return sketched * self._outward

    def flips(self, hidden_weights):
        """Return the share of activations that differ under the hidden weights of the trial."""
        return self._table.flips(hidden_weights)

    def _total(self, function, kind, **shared):
        return self._table.rounds.total(
            function,
            kind,
            network=self._point.future,
            loss_function=self._loss_function,
            **shared,
        )


class RowVector:
    """a r + J v, one number a row and output that nobody holds; v = None is 0."""

    def __init__(self, jacobian, share, vector):
        self.jacobian, self.share, self.vector = jacobian, share, vector

    def __neg__(self):
        vector = None if self.vector is None else -self.vector
        return RowVector(self.jacobian, -self.share, vector)

    def __add__(self, other):
        vectors = [v for v in (self.vector, other.vector) if v is not None]
        vector = sum(vectors[1:], vectors[0]) if vectors else None
        return RowVector(self.jacobian, self.share + other.share, vector)

    def __matmul__(self, other):
        image = self.jacobian.rmatvec(other)
        total = 0.0 if self.vector is None else float(self.vector @ image)
        if self.share:
            gradient = self.jacobian.rmatvec(RowVector(self.jacobian, 1.0, None))
            total += self.share * other.share * self.jacobian.residual_square()
            if other.vector is not None:
                total += self.share * float(gradient @ other.vector)
        return total

    def astype(self, dtype, copy=True):
        """Return the vector itself, which is in float64."""
        return self
