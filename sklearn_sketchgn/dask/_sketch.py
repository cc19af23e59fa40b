"""A sketch of rows that lie on several machines: S = [S_1 S_2 ...], one independent part a block.

Each part has E[S_b'S_b] = I, and the parts are independent with mean 0, so E[S'S] = I; and
S J = sum over b of S_b J_b, so that no machine needs the rows of another. A part is drawn from
(seed, block, chunk): when a worker is lost, the one that takes over draws the same.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..sketches import CountSketch, Sketch
from ..sketches._checks import draw_checked


class BlockwiseSketch(Sketch):
    """The sketch S = [S_1 S_2 ...] whose parts are drawn where the rows are.

    Parameters
    ----------
    sketch : Sketch
        Draws each part.
    """

    #: What is drawn has no products: its parts are drawn, and checked, where the rows are.
    in_parts = True

    def __init__(self, sketch):
        self.sketch = sketch

    def draw(self, sketch_size, n_rows, rng):
        """Return what describes S: nothing of it is drawn before it meets rows."""
        seed = rng.integers(2**32, size=4).tolist()
        return BlockwiseOperator((sketch_size, n_rows), self.sketch, seed)


@dataclass(frozen=True)
class BlockwiseOperator:
    """A drawn :class:`BlockwiseSketch`: shape, strategy of the parts, and the seed of them all."""

    shape: tuple[int, int]
    sketch: Any
    seed: list


def draw_part(sketch, sketch_size, n_rows, seed):
    """Return S_b of shape (sketch_size, n_rows).

    A block with fewer rows than the sketch is not reduced by it, and not every strategy can draw
    such a part (an :class:`SRHT` cannot): there it is a :class:`CountSketch`.
    """
    rng = np.random.default_rng(seed)
    if n_rows < sketch_size:
        sketch = CountSketch()
    return draw_checked(sketch, sketch_size, n_rows, rng)
