"""The penalty that steps on batches have in effect, for the steps on all rows after them."""

from ._blas import dot

# What batches have in effect is believed up to so many times alpha. More says that the network was
# not at rest but still growing, as on tables without noise: the more, the less is made of it, and
# nothing from the square of this on (measured while building; docs/design_notes.md).
_MOST_IN_EFFECT = 5.0


def penalty_factor(training, data):
    """Return how many times its alpha a network trained on batches has in effect, from 1 to 5.

    A step on a batch satisfies its few rows at once, and shrinks whatever they do not speak of,
    which is most of the network. So steps on batches come to rest under a larger penalty than they
    are given: under the one that lets the objective on all rows neither gain nor lose when all
    that is penalised of the network, theta_P, is scaled,  theta_P' (J'r + alpha P theta) = 0.

    Parameters
    ----------
    training : Training
        At the end of steps on batches.
    data : TrainingData
        All rows, or a table on a cluster.
    """
    problem = training.subproblem(data)
    size = problem.alpha * problem.size()
    if not size:
        return 1.0
    scaled = training.network.penalised() * problem.theta
    factor = 1 - dot(problem.gradient(), scaled) / size
    if not factor > 1:  # or NaN
        return 1.0
    return max(1.0, min(factor, _MOST_IN_EFFECT**2 / factor))
