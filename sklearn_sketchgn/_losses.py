"""The loss functions: value, gradient and curvature in f, link, and scaling of the targets.

A network is trained by linear least squares, so a loss l(f, y) enters in two forms only:

    root loss          sign(f - y) sqrt(2 s l), half of whose square is the weighted loss,
    working residual   sqrt(s) l' / sqrt(h),  with the rows of J multiplied by sqrt(h).

With h > 0 the curvature of l in f the least-squares problem then has the exact gradient J' (s l')
and the generalised Gauss-Newton matrix J' (s h) J. For the squared error both forms are f - y.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import xlogy

from ._moments import LEAST_DEVIATION
from ._robust_scale import robust_deviation, weighted_median
from ._scaled_jacobian import ScaledJacobian

#: Threshold of the Huber loss in standard deviations of the noise: 95 % as efficient as the
#: squared error on normal noise (P. J. Huber, Robust Statistics, 1981).
HUBER_EPSILON = 1.35


# Held-out residuals whose working residual, which grows with their root, is beyond so many
# thresholds (so that they are beyond nine) count alike: outliers, which no network predicts, would
# drown what another penalty promises.
_JUDGED_THRESHOLDS = 3.0

# An error beyond so many robust standard deviations is taken for an outlier, not for noise.
_OUTLIER = 3.0

# Bounds of the logarithm of a rate. Above, no row is explained; below, the curvature stays so large
# that the working residual, y exp(-f / 2), and its square are finite in float32.
_LEAST_LOG, _LARGEST_LOG = -60.0, 300.0


class Loss:
    """What every loss does, from ``formulas(f, y)``: value, gradient and curvature in f."""

    name = ""
    #: What ``predict`` applies to f, in MLPRegressor's words.
    out_activation = "identity"
    #: Whether training sets a ``threshold`` first.
    needs_threshold = False
    #: Whether the curvature is 1, so that rows of J are weighted alike for all outputs.
    outputs_alike = False

    def formulas(self, f, y):
        """Return l(f, y), dl / df and a curvature h > 0 that stands for its second derivative."""
        raise NotImplementedError  # all else follows from these: every loss has its own

    def check_targets(self, y):
        """Raise ValueError for targets that the loss is not defined for."""

    def least_alpha(self, n_outputs):
        """Return the smallest penalty that alpha="auto" may choose."""
        return 0.0

    def rescale_targets(self, scaling, y, sample_weight):
        """Return the scaling with the map from the network's output to f of this loss."""
        return scaling

    def target_scaling(self, scaling):
        """Return the scaling whose ``scaled_targets`` this loss is trained on."""
        return scaling

    def output_scale(self, scaling):
        """Return by what a root loss is multiplied to be in raw units, by output."""
        return scaling.y_scale

    def root_loss(self, outputs, rows, targets):
        """Return sign(f - y) sqrt(2 s l) in float64, shape (n_samples, n_outputs).

        ``outputs`` and ``targets`` are multiplied by sqrt(s), the last column of ``rows``.
        """
        sqrt_weight = rows[:, -1:].astype(np.float64)
        value, gradient, _ = self.formulas(outputs / sqrt_weight, targets / sqrt_weight)
        return np.sign(gradient) * np.sqrt(2 * value) * sqrt_weight

    def judged_residual(self, residual, rows):
        """Return the working residual of held-out rows as it counts for the noise among them."""
        return residual

    def expected(self, f):
        """Return the expected target at the outputs f."""
        return f

    def variance(self, expected):
        """Return V so that noise about the expected target has the variance s^2 V.

        It is the expected curvature, too.
        """
        return np.ones_like(expected)

    def without_outliers(self, squares, sample_weight):
        """Return squared errors with those of outliers replaced by typical ones."""
        return squares

    def linearise(self, network, rows, targets):
        """Return the Jacobian, the working residual and the root loss, output by output."""
        jacobian, outputs = network.linearise(rows, 0.0)
        outputs = outputs.reshape(targets.shape[::-1]).T
        sqrt_weight = rows[:, -1:].astype(np.float64)
        value, gradient, curvature = self.formulas(outputs / sqrt_weight, targets / sqrt_weight)
        root = np.sqrt(curvature)
        residual = (sqrt_weight * gradient / root).T.ravel().astype(rows.dtype)
        root_loss = (np.sign(gradient) * np.sqrt(2 * value) * sqrt_weight).T.ravel()
        return ScaledJacobian(jacobian, root.T.ravel()), residual, root_loss


class SquaredError(Loss):
    """l = (f - y)^2 / 2, whose working residual and root loss are both f - y."""

    name, outputs_alike = "squared_error", True

    def formulas(self, f, y):
        """Return value, gradient and curvature; see :class:`Loss`."""
        return 0.5 * (f - y) ** 2, f - y, np.ones_like(f)

    def root_loss(self, outputs, rows, targets):
        """Return sqrt(s) (f - y), in the dtype of the rows."""
        return outputs - targets

    def linearise(self, network, rows, targets):
        """Return the Jacobian and twice the residual, none of them copied."""
        jacobian, residual = network.linearise(rows, targets)
        return jacobian, residual, residual


class Poisson(Loss):
    """l = exp(f) - y f + (y log y - y), half the Poisson deviance, with a log link.

    Targets are divided by their weighted mean, so that f starts at 0, the logarithm of the mean,
    and the penalty and the damping mean the same for counts in any unit.
    """

    name, out_activation = "poisson", "exp"

    def check_targets(self, y):
        """Raise ValueError for a negative target."""
        if (y < 0).any():
            raise ValueError(
                "Some value(s) of y are out of the valid range of loss='poisson', which requires "
                f"non-negative y; the smallest is {y.min():g}."
            )

    def rescale_targets(self, scaling, y, sample_weight):
        """Return the scaling whose y_mean is the log of the mean, and whose y_scale is 1."""
        if not (scaling.y_mean > 0).all():
            raise ValueError(
                "loss='poisson' requires non-negative y and sum(y) > 0 for every output; got a "
                "target that is 0 in every row of positive weight."
            )
        return replace(scaling, y_mean=np.log(scaling.y_mean), y_scale=np.ones(y.shape[1]))

    def target_scaling(self, scaling):
        """Return the scaling that divides targets by their mean."""
        nothing = np.zeros_like(scaling.y_mean)
        return replace(scaling, y_mean=nothing, y_scale=np.exp(scaling.y_mean))

    def output_scale(self, scaling):
        """Return the root of the mean: the deviance of c y is c times that of y."""
        return np.exp(0.5 * scaling.y_mean)

    def expected(self, f):
        """Return the rate exp(f)."""
        return np.exp(np.clip(f, _LEAST_LOG, _LARGEST_LOG))

    def variance(self, expected):
        """Return the rate: the variance of a count is its mean, times the dispersion s^2."""
        return np.maximum(expected, np.exp(_LEAST_LOG))

    def formulas(self, f, y):
        """Return value, gradient and curvature; see :class:`Loss`."""
        rate = self.expected(f)
        value = np.maximum(rate - y - y * f + xlogy(y, y), 0.0)
        return value, rate - y, rate


@dataclass
class Huber(Loss):
    """l = r^2 / 2 for |r| <= t, else t |r| - t^2 / 2, with r = f - y and a threshold t by output.

    The curvature is that of iteratively reweighted least squares, min(1, t / |r|).
    """

    threshold: np.ndarray | float = HUBER_EPSILON

    name = "huber"
    needs_threshold = True

    def least_alpha(self, n_outputs):
        """Return the penalty below which a network may run after a single gross outlier.

        To reach an outlier at a distance r saves t r. At an input of unit norm it takes neurons
        of |a| ||w|| >= r, whose penalty alpha k (a^2 + ||w||^2) / 2 is alpha k r at least. Both
        are linear in r: what stops the network at one distance stops it at any, and a smaller
        penalty may at none. Held-out rows do not show it early enough.
        """
        return float(np.max(self.threshold)) / n_outputs

    def rescale_targets(self, scaling, y, sample_weight):
        """Return the scaling by weighted median and median absolute deviation."""
        median = weighted_median(y, sample_weight)
        # Half first: the difference of two numbers near the largest float must not overflow.
        scale = 2.0 * robust_deviation(0.5 * y - 0.5 * median, sample_weight)
        # A smaller scale would overflow when it divides.
        return replace(
            scaling, y_mean=median, y_scale=np.where(scale > LEAST_DEVIATION, scale, 1.0)
        )

    def judged_residual(self, residual, rows):
        """Return the working residual, bounded: the rest is that of the outliers."""
        bound = _JUDGED_THRESHOLDS * np.reshape(self.threshold, (-1, 1)) * rows[:, -1]
        bounded = np.clip(residual.reshape(-1, len(rows)), -bound, bound)
        return bounded.ravel()

    def without_outliers(self, squares, sample_weight):
        """Return squares with those beyond three robust deviations replaced by the deviation's."""
        typical = robust_deviation(np.sqrt(squares), sample_weight) ** 2
        return np.where(squares > _OUTLIER**2 * typical, typical, squares)

    def formulas(self, f, y):
        """Return value, gradient and curvature; see :class:`Loss`."""
        residual = f - y
        size = np.abs(residual)
        inner = np.minimum(size, self.threshold)
        value = inner * (size - 0.5 * inner)
        curvature = np.divide(inner, size, where=size > 0, out=np.ones_like(size))
        return value, np.sign(residual) * inner, curvature


def bounded_exp(outputs):
    """Return exp(f), in place, and the largest number where it would overflow."""
    with np.errstate(over="ignore"):
        np.exp(outputs, out=outputs)
    return np.minimum(outputs, np.finfo(outputs.dtype).max, out=outputs)


#: The losses by the names that users give them.
LOSSES: dict[str, type[Loss]] = {loss.name: loss for loss in (SquaredError, Poisson, Huber)}
