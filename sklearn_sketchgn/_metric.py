"""The metric of the damping: how far a step moves what the neurons see of the table.

Damped by its own length, a step cannot go far along directions in which the features hardly vary,
although it changes the network least along these. In the metric of the features' covariance C, the
damping of a neuron's weights is mu times the mean square of the change of its input, whatever
linear combinations of the features are given: the input factor of K-FAC (Martens and Grosse,
ICML 2015, section 3) in the place of the identity.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from ._blas import product

#: Features up to which the metric is used: its products are of features times features. With 200 a
#: fit takes 1.4 to 1.6 times as long, with 400 up to 3 times (measured while building).
MOST_FEATURES = 200

# Added to the eigenvalues of C, which are 1 on average: directions in which features vary less are
# damped as if they varied about so much (measured while building; docs/algorithm.md).
_FLOOR = 0.01


class DampingMetric:
    """The metric of the hidden weights: C, with a floor, and 1 for the column of ones.

    Parameters
    ----------
    covariance : ndarray of shape (n_features, n_features)
        C of standardised features, float64, without the column of ones.
    """

    def __init__(self, covariance):
        values, self._vectors = eigh(covariance, check_finite=False)
        self._values = (np.maximum(values, 0.0) + _FLOOR) / (1 + _FLOOR)
        self._key = self._coordinates = None

    def coordinates(self, alpha, damping, dtype):
        """Return the :class:`Coordinates` for a penalty and a damping, whose ratio counts.

        Batches of equal damping have them in common, so the last ones are kept.
        """
        share = damping / (alpha + damping)
        if self._key != (share, dtype):
            roots = np.sqrt((1 - share) + share * self._values)
            matrices = [self._matrix(values, dtype) for values in (self._values, 1 / roots, roots)]
            self._key, self._coordinates = (share, dtype), Coordinates(*matrices)
        return self._coordinates

    def _matrix(self, values, dtype):
        """Return V diag(values) V', continued by 1 for the column of ones."""
        n_features = len(values)
        matrix = np.eye(n_features + 1, dtype=dtype)
        matrix[:n_features, :n_features] = product(self._vectors * values, self._vectors.T)
        return matrix


@dataclass
class Coordinates:
    """Hidden weights Q in which penalty and damping of a step are one multiple of ||Q||^2.

    With lam = alpha + mu and T = ((alpha I + mu C) / lam)^(-1/2), a step dW = Q T of the hidden
    weights has  alpha ||dW||^2 + mu tr(dW C dW') = lam ||Q||^2,  and on the rows X T the hidden
    weights W T^-1 give what W gives on X.

    Attributes
    ----------
    metric, outward, inward : ndarray of shape (n_features + 1, n_features + 1)
        C, T and T^-1, all of them symmetric.
    """

    metric: np.ndarray
    outward: np.ndarray
    inward: np.ndarray


def damping_metric(data, network):
    """Return the :class:`DampingMetric` of a table, or None where the damping keeps to its length.

    That is the case for the paper's network, whose rows are not standardised, and for so many
    features that the metric would take longer than a step.

    Parameters
    ----------
    data : TrainingData
        Scaled rows; they are read once.
    network : Network
        What is to be trained on them.
    """
    n_features = network.hidden.shape[1] - 1
    if not network.train_output or not 0 < n_features <= MOST_FEATURES:
        return None
    covariance = np.zeros((n_features, n_features))
    for block in data.blocks():
        features = block.rows[:, :-1].astype(np.float64)
        covariance += product(features.T, features)
    covariance /= data.weight
    return DampingMetric(covariance) if np.isfinite(covariance).all() else None
