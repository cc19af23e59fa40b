"""What is noted while a network trains: losses, validation losses, and the network to keep."""

from dataclasses import replace

import numpy as np

from ._step import square
from ._training import Outcome

# Relative difference of two sums of squares that float32 cannot tell from none.
_ROUND_OFF = 1e-5
# Error, in units of the target, that is round-off in float64.
_EXACT = 1e-14


class Watch:
    """What is noted between steps: losses, validation losses, the best network."""

    def __init__(self, settings, data, training, validation, plan, observers):
        self.settings, self.training, self.validation = settings, training, validation
        self.plan, self.observers = plan, observers
        self.losses, self.validation_losses, self.steps = [], [], []
        self.first = self.best = training.network
        self.best_loss, self.waited = np.inf, 0
        self.why_stopped = ""
        # Validation losses are compared in units of the largest target: its square may overflow.
        self.unit = np.max(training.output_scale)
        self.first_error, loss = self._measure(data)
        self.note(loss)

    def note(self, loss):
        """Append the losses, keep the best network, return whether to stop early."""
        self.losses.append(loss)
        self.steps.append(len(self.training.history["objective"]))
        if self.validation is not None:
            self._validate()
            if self.waited >= self.settings.n_iter_no_change:
                self.why_stopped = "early stopping"
        # All of them are called, whatever the first one says.
        if any([observer(self) for observer in self.observers]):
            self.why_stopped = "callback"
        return bool(self.why_stopped)

    def _validate(self):
        current = self._measure(self.validation, self.unit)[1]
        self.validation_losses.append(float(current * self.unit**2))
        enough = self.best_loss - self.settings.tol * min(abs(self.best_loss), 1e300)
        improved = current < enough or not self.plan.steps_are_short(self.steps[-1])
        self.waited = 0 if improved else self.waited + 1
        if current < self.best_loss:
            self.best, self.best_loss = self.training.network, current

    def has_got_worse(self, data, times=1.0):
        """Return whether the network errs more times than the first one, which predicts the mean.

        A network of a fixed output layer starts anywhere, so nothing is promised of it.
        """
        if not self.training.network.train_output:
            return False
        # Written so that NaN counts as worse.
        return not self._measure(data)[0] <= (1 + _ROUND_OFF) * times**2 * self.first_error

    def _measure(self, data, unit=1.0):
        """Return the sum of squares of the root loss, and the mean loss, of the current network."""
        training, weight = self.training, data.weight
        squares = loss = 0.0
        for block in data.blocks():
            outputs = training.network.evaluate(block.rows)
            root_loss = training.loss_function.root_loss(outputs, block.rows, block.targets)
            residual = root_loss.T.ravel()
            squares += square(residual)
            loss += training.loss(residual, weight, unit)
        return squares, loss

    def first_is_exact(self, data):
        """Return whether the first network has no error but round-off."""
        return self.first_error <= _EXACT**2 * data.weight

    def no_step_helped(self, data):
        """Return whether the mean is kept, as no step lowered the loss of held-out rows."""
        if self.validation is None or len(self.steps) < 2 or not self.first.train_output:
            return False
        return self.best is self.first and not self.first_is_exact(data)

    def outcome(self):
        """Return what a fit that a callback ends now gives back; nothing of it changes later."""
        history = {key: [*values] for key, values in self.training.history.items()}
        return Outcome(
            replace(self.training, network=self.best_network(), history=history),
            "callback",
            [*self.losses],
            [*self.validation_losses],
            [*self.steps],
        )

    def best_network(self):
        """Return the network of least validation loss, or the last one without validation."""
        return self.training.network if self.validation is None else self.best
