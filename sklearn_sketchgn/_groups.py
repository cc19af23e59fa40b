"""Groups of neurons: networks that are trained on different rows and averaged into one.

The mean of several two-layer networks is a two-layer network of all their neurons. With
f = a' relu(W x) for each of G groups, W / sqrt(G) and a / sqrt(G) give the mean, and the sum of
their squares is the mean of those of the groups: the same alpha stands for the same penalty.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ._blas import dot
from ._network import Network
from ._step import square
from ._training import HISTORY_KEYS


@dataclass
class Group:
    """A part of the neurons, the rows that it is trained on, and those that judge it.

    Beside its parameters theta runs their sensitivity z = d theta / d log(alpha), what they would
    have become under a slightly larger penalty. It obeys the recursion of the steps,
    differentiated, and costs one more solve with the factor that a step has anyway. On the rows
    that judge, z says in which direction to move alpha.
    """

    training: Any
    kept: Any
    judges: Any
    sensitivity: np.ndarray | None = None
    _step_sensitivity: np.ndarray | None = None

    def follow(self, problem, state, damping, step, length):
        """Differentiate one step of the batch phase.

        Parameters
        ----------
        problem, state, damping
            The batch's subproblem, the solver's state for it, and mu.
        step : ndarray
            Its minimiser.
        length : float
            How much of it was taken; 0 for a step that was shortened, which ends the momentum.
        """
        if not length:
            self._step_sensitivity = None
            return
        training = self.training
        if self.sensitivity is None:
            self.sensitivity = np.zeros_like(problem.theta)
        drift = self._step_sensitivity
        if drift is not None:
            drift = training.momentum * drift
        self._step_sensitivity = problem.solve_sensitivity(
            training.solver, state, damping, step, self.sensitivity, drift
        )
        self.sensitivity += step.dtype.type(length) * self._step_sensitivity

    def forget(self):
        """Start again with a sensitivity of zero."""
        self.sensitivity = self._step_sensitivity = None

    def error(self):
        """Return the judges' sum of squared errors."""
        return sum(square(judged) for _, judged, _ in self._judged(self.training))

    def difference(self, network):
        """Return the sum of squares by which the judges' errors differ under another network."""
        pairs = zip(
            self._judged(self.training),
            self._judged(replace(self.training, network=network)),
            strict=True,
        )
        with np.errstate(invalid="ignore"):  # of rows that are out of the network's reach
            return sum(square(own - others) for (_, own, _), (_, others, _) in pairs)

    def effect_of_alpha(self):
        """Return ||r||^2, ||J z||^2 and r'J z of the judges, the change of r with log(alpha)."""
        size = effect = slope = 0.0
        for problem, judged, residual in self._judged(self.training):
            change = problem.image(self.sensitivity).astype(np.float64)
            size += square(judged)
            effect += square(change)
            slope += dot(residual, change)
        return size, effect, slope

    def _judged(self, training):
        """Yield subproblems of the judges, with their residual as it counts, and as it is."""
        for judges in self.judges.blocks():
            problem = training.subproblem(judges)
            residual = problem.residual.astype(np.float64)
            judged = training.loss_function.judged_residual(residual, judges.rows)
            yield problem, judged, residual


def split(training, n_groups):
    """Return the fits of as many groups, each with its part of the pairs of neurons.

    Their networks are as large at the start as one of their width is. A single group is the fit
    itself.
    """
    if n_groups == 1:
        return [training]
    network = training.network
    width = len(network.hidden)
    half = width // 2
    parts = []
    pairs = np.array_split(np.arange(half), n_groups)
    odd = np.arange(2 * half, width)
    for i, (pair, rng) in enumerate(zip(pairs, training.rng.spawn(n_groups), strict=True)):
        neurons = np.concatenate([pair, pair + half, odd[: i == 0]])
        size = network.hidden.dtype.type((width / len(neurons)) ** 0.25)
        part = Network(
            size * network.hidden[neurons], size * network.output[neurons], network.intercept
        )
        parts.append(replace(training.fresh(part, training.alpha), rng=rng))
    return parts


def gather(training, parts):
    """Give a fit the mean of its groups' networks and last steps, and the steps they have taken."""
    if parts[0] is training:
        return
    training.network = mean_network([part.network for part in parts])
    training.alpha, training.damping = parts[0].alpha, parts[0].damping
    training.column_penalty = parts[0].column_penalty
    steps = [part.previous_step for part in parts]
    training.previous_step = None
    if all(step is not None for step in steps):
        moves = [p.network.with_parameters(step) for p, step in zip(parts, steps, strict=True)]
        training.previous_step = mean_network(moves).parameters()
    for i in range(len(training.history["objective"]), len(parts[0].history["objective"])):
        entries = {key: [part.history[key][i] for part in parts] for key in HISTORY_KEYS}
        events = dict.fromkeys(event for event in entries["events"] if event)
        training.record(
            objective=float(np.mean(entries["objective"])),
            damping=entries["damping"][0],
            alpha=entries["alpha"][0],
            cg_iterations=max(entries["cg_iterations"]),
            cg_residual=max(entries["cg_residual"]),
            step_norm=float(np.mean(np.square(entries["step_norm"]))) ** 0.5,
            batch_size=max(entries["batch_size"]),
            flips=np.nan,
            events="; ".join(events),
            marks=set().union(*(part.marks[i] for part in parts)),
        )


def separate(network, n_groups):
    """Return as many networks whose mean this one is, each of neurons that lie side by side.

    They are as large as those that :func:`split` makes and, but for the intercepts, those that
    :func:`mean_network` was made of.
    """
    if n_groups == 1:
        return [network]
    size = network.hidden.dtype.type(n_groups**0.5)
    half, odd = divmod(len(network.hidden), 2)
    widths = [2 * len(pairs) for pairs in np.array_split(np.arange(half), n_groups)]
    widths[0] += odd
    ends = np.cumsum(widths)[:-1]
    parts = zip(np.split(network.hidden, ends), np.split(network.output, ends), strict=True)
    return [Network(size * hidden, size * output, network.intercept) for hidden, output in parts]


def mean_network(networks):
    """Return the mean of several networks as one of all their neurons."""
    if len(networks) == 1:
        return networks[0]
    size = networks[0].hidden.dtype.type(len(networks) ** -0.5)
    return Network(
        size * np.concatenate([network.hidden for network in networks]),
        size * np.concatenate([network.output for network in networks]),
        np.mean([network.intercept for network in networks], axis=0),
    )
