import os

import numpy as np
import pytest

# Without it scikit-learn skips one of its own checks, silently. To be set before scipy is imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import scipy.linalg  # noqa: E402, F401  (its BLAS is limited below)
from threadpoolctl import threadpool_limits  # noqa: E402

# Workers of pytest-xdist whose BLAS took all cores each would wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    threadpool_limits(1)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def wave(rng):
    """Inputs and a target of 300 rows: a sine of the first of two columns."""
    X = rng.standard_normal((300, 2))
    return X, np.sin(X[:, 0])
