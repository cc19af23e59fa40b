"""Random sketches: strategy objects whose ``draw`` returns an operator S with E[S'S] = I."""

from .._strategies import resolve_strategy
from ._base import Sketch, SketchOperator
from ._count_sketch import CountSketch
from ._gaussian import Gaussian
from ._srht import SRHT

SKETCHES: dict[str, type[Sketch]] = {
    "srht": SRHT,
    "countsketch": CountSketch,
    "gaussian": Gaussian,
}


def resolve_sketch(value):
    """Return the sketch strategy of a name or of a user's own object (a clone of it)."""
    return resolve_strategy(value, SKETCHES, name="sketch", methods=("draw",))


__all__ = ["SRHT", "CountSketch", "Gaussian", "Sketch", "SketchOperator"]
