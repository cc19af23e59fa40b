"""encoding="auto": whether ramps pay, by a short training without and one with them."""

from dataclasses import replace

import numpy as np

from ._cycles import probe
from ._encoding import can_be_encoded, check_can_be_encoded, place_ramps
from ._fitting import first_networks, scaled_data, with_batch_size, with_threshold
from ._folds import even_places
from ._schedule import new_training
from ._training import twin
from ._training_data import holds_too_much

# Ramps must lower the loss of rows that the probes have not seen by this share.
_WORTH = 0.03


def encoded(settings, samples, scaling, rng):
    """Return the scaling, with ramps if these are asked for, or pay.

    With ``encoding="auto"`` a :func:`~._cycles.probe` is trained without ramps and one with them,
    and the rows that both have not seen decide. The generator is left as it is: a fit that goes
    without them is the same to the last bit as if nothing had been tried.
    """
    asked = settings.encoding == "piecewise"
    if settings.encoding is None or not (asked or can_be_encoded(samples.X)):
        return scaling
    check_can_be_encoded(samples.X)
    ramps = place_ramps(samples.X, samples.weight, scaling.x_inverse > 0)
    with_ramps = replace(scaling, ramps=ramps)
    if asked:
        return with_ramps
    if not len(ramps) or holds_too_much(samples.X, settings.batch_size, with_ramps.n_inputs):
        return scaling
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # as in all of training
        return with_ramps if _pay(settings, samples, with_ramps, rng) else scaling


def _pay(settings, samples, with_ramps, rng):
    """Return whether a probe with ramps errs so much less than one without."""
    settings = replace(settings, alpha=None, batch_size="auto", n_members=1)
    loss_function = places = None
    losses: list[float] = []
    for scaling in (replace(with_ramps, ramps=None), with_ramps):
        chosen = with_batch_size(settings, samples, scaling, None)
        data, _ = scaled_data(chosen, samples, None, scaling)
        start = first_networks(chosen, data, twin(rng), None)[0]
        if not losses:  # Those by another threshold, or of other rows, could not be compared.
            loss_function = with_threshold(chosen, data, scaling, start).loss_function
            places = even_places(data, twin(rng), cells=True)
        held_out = places, twin(rng)
        chosen = replace(chosen, loss_function=loss_function)
        network, _, generator = start
        training = new_training(chosen, data, network, scaling, generator)
        # More cycles say the same (docs/design_notes.md).
        search = probe(training, data, batch_size=chosen.batch_size, n_cycles=1, held_out=held_out)
        losses.append(search.mean_loss())
    return losses[1] < (1 - _WORTH) * losses[0]
