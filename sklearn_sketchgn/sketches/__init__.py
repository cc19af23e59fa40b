"""Random sketches: strategy objects whose ``draw`` returns an operator S with E[S'S] = I."""

from ._base import Sketch, SketchOperator
from ._count_sketch import CountSketch
from ._gaussian import Gaussian
from ._srht import SRHT

SKETCHES: dict[str, type[Sketch]] = {
    "srht": SRHT,
    "countsketch": CountSketch,
    "gaussian": Gaussian,
}

__all__ = ["SKETCHES", "SRHT", "CountSketch", "Gaussian", "Sketch", "SketchOperator"]
