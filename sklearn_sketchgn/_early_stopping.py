"""early_stopping=True: the rows that are held out to stop by."""

from math import ceil

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit

from ._training_data import order_matters

# Draws of groups to stop by, until one leaves half of the rows to train on.
_DRAWS = 20


def hold_out(samples, fraction, rng):
    """Return the samples to train on and those to stop by.

    Parameters
    ----------
    samples : Samples
        All rows, or groups of them.
    fraction : float
        ``validation_fraction``: the share of the rows, or of the groups, to stop by.
    rng : numpy.random.Generator
        Draws them.

    Raises
    ------
    ValueError
        If none would be left to train on.
    """
    groups, unit, name, number = samples.groups, "row", "n_samples", len(samples.y)
    if groups is not None:
        unit, name, number = "group", "n_groups", int(groups.max()) + 1
    if ceil(fraction * number) >= number:
        raise ValueError(
            f"early_stopping=True with validation_fraction={fraction} leaves "
            f"no {unit} to train on: got {name}={number} of positive weight. Lower "
            "`validation_fraction`, pass `X_val` and `y_val`, or set early_stopping=False."
        )
    splitter = ShuffleSplit if groups is None else GroupShuffleSplit
    split = splitter(_DRAWS, test_size=fraction, random_state=int(rng.integers(2**31 - 1)))
    draws = split.split(samples.y, groups=groups)
    # Groups of very different sizes may leave next to nothing to train on.
    fair = (draw for draw in draws if 2 * len(draw[0]) >= len(samples.y))
    parts = next(fair, None) or next(split.split(samples.y, groups=groups))
    if order_matters(samples.X):
        parts = [np.sort(part) for part in parts]
    kept, held_out = (samples.selected(part) for part in parts)
    return kept, held_out
