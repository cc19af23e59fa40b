"""Neural regression on tables by sketched Gauss-Newton steps, for scikit-learn."""

from ._convergence_display import ConvergenceDisplay
from ._export import SKOPS_TRUSTED
from ._fast_regression import fast_regression
from ._regressor import SketchGNRegressor
from ._uncertainty_display import UncertaintyDisplay
from .sketches import SRHT, CountSketch, Gaussian
from .solvers import CG, Direct

__version__ = "0.1.0"

__all__ = [
    "CG",
    "SKOPS_TRUSTED",
    "SRHT",
    "ConvergenceDisplay",
    "CountSketch",
    "Direct",
    "Gaussian",
    "SketchGNRegressor",
    "UncertaintyDisplay",
    "fast_regression",
]
