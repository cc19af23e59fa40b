"""The metric of the damping: how far a step moves what the neurons see of the table.

Damped by its own length, a step cannot go far along directions in which the features hardly vary,
although it changes the network least along these. In the metric of the features' covariance C, the
damping of a neuron's weights is mu times the mean square of the change of its input, whatever
linear combinations of the features are given: the input factor of K-FAC (Martens and Grosse,
ICML 2015, section 3) in the place of the identity.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import eigh

from ._blas import product

#: Features up to which the metric is used: its products are of features times features. With 200 a
#: fit takes 1.4 to 1.6 times as long, with 400 up to 3 times (measured while building).
MOST_FEATURES = 200

# Added to the eigenvalues of C, which are about 1 on average: directions in which features vary
# less are damped as if they varied about so much (measured while building; docs/design_notes.md).
_FLOOR = 0.01


class DampingMetric:
    """The metric of the hidden weights: C, with a floor, and 1 for the column of ones.

    Parameters
    ----------
    covariance : ndarray of shape (n_features, n_features)
        C of standardised features, float64, without the column of ones.
    """

    def __init__(self, covariance):
        n_features = len(covariance)
        self._metric = np.eye(n_features + 1)
        self._metric[:-1, :-1] = (covariance + _FLOOR * np.eye(n_features)) / (1 + _FLOOR)
        self._key: Any = None
        self._coordinates: Any = None

    def coordinates(self, alpha, damping, dtype, column_penalty=None):
        """Return the :class:`Coordinates` for a penalty and a damping, whose ratio counts.

        Batches have them in common, so the last ones are kept.
        """
        share = damping / (alpha + damping)
        key = (share, dtype, id(column_penalty))  # which the coordinates keep alive
        if self._key != key:
            penalty = np.ones(len(self._metric)) if column_penalty is None else column_penalty
            both = (1 - share) * np.diag(penalty) + share * self._metric
            values, vectors = eigh(both, check_finite=False)
            roots = np.sqrt(values)
            outward, inward = (product(vectors * size, vectors.T) for size in (1 / roots, roots))
            metric, outward, inward = (x.astype(dtype) for x in (self._metric, outward, inward))
            self._key = key
            self._coordinates = Coordinates(metric, outward, inward, column_penalty)
        return self._coordinates


@dataclass
class Coordinates:
    """Hidden weights Q in which penalty and damping of a step are one multiple of ||Q||^2.

    With lam = alpha + mu, R the diagonal matrix of ``column_penalty`` and
    T = ((alpha R + mu C) / lam)^(-1/2), a step dW = Q T of the hidden weights has
    alpha tr(dW R dW') + mu tr(dW C dW') = lam ||Q||^2,  and on the rows X T the hidden weights
    W T^-1 give what W gives on X.

    Attributes
    ----------
    metric, outward, inward : ndarray of shape (n_features + 1, n_features + 1) or (n_features + 1,)
        C, T and T^-1, all of them symmetric; vectors stand for diagonal matrices.
    column_penalty : ndarray of shape (n_features + 1,) or None
        The diagonal of R, None for ones.
    """

    metric: np.ndarray
    outward: np.ndarray
    inward: np.ndarray
    column_penalty: np.ndarray | None = None


def column_coordinates(column_penalty, dtype):
    """Return the :class:`Coordinates` for the metric C = R, whatever alpha and mu are."""
    metric, roots = column_penalty.astype(dtype), np.sqrt(column_penalty).astype(dtype)
    return Coordinates(metric, 1 / roots, roots, column_penalty)


def damping_metric(data, network):
    """Return the :class:`DampingMetric` of a table, or None where the damping keeps to its length.

    That is the case for the paper's network, whose rows are not standardised, and for so many
    features that the metric would take longer than a step.

    Parameters
    ----------
    data : TrainingData
        Scaled rows; they are read once, however many metrics are made of them.
    network : Network
        What is to be trained on them.
    """
    n_features = network.hidden.shape[1] - 1
    if not network.train_output or not 0 < n_features <= MOST_FEATURES:
        return None
    # Not one metric for all members: each keeps the coordinates of its own penalty.
    return DampingMetric(data.covariance) if np.isfinite(data.covariance).all() else None
