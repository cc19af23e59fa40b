"""What a fit is asked for."""

from dataclasses import dataclass, field
from typing import Any

from ._losses import SquaredError


@dataclass
class Settings:
    """Hyperparameters of one fit after validation.

    None stands for "auto" but for the batch size, where it means all rows, and the encoding, where
    it is none; for the batch size "auto" has to be replaced by a number before training.
    """

    width: int
    train_output: bool
    n_members: int
    n_jobs: int | None
    alpha: float | None
    damping: float | None
    batch_size: Any
    momentum: float
    max_iter: int | None
    tol: float
    n_iter_no_change: float
    solver: object
    sketch: object
    weight_unit: float = 1.0
    to_be_continued: bool = False
    loss_function: Any = field(default_factory=SquaredError)
    encoding: str | None = None
