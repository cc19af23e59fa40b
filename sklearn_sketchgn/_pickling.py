"""The version stamp in pickles, and what is said where one cannot be loaded."""

#: Counts the changes of what a fitted estimator consists of that an older release cannot read.
STATE_FORMAT = 1

_STAMP = "_sklearn_sketchgn"


def stamped(state):
    """Return a pickle's state with the release and the format that wrote it."""
    # Here, for the package is still being imported when this module is.
    from . import __version__

    return {**state, _STAMP: {"version": __version__, "format": STATE_FORMAT}}


def unstamped(state):
    """Return the state without its stamp.

    Raises
    ------
    ValueError
        If a later release wrote it in a format that this one does not know.
    """
    from . import __version__

    state = dict(state)
    stamp = state.pop(_STAMP)
    if stamp["format"] > STATE_FORMAT:
        raise ValueError(
            f"This SketchGNRegressor was pickled by sklearn_sketchgn {stamp['version']} (format "
            f"{stamp['format']}); version {__version__} reads formats up to {STATE_FORMAT}. "
            f"Install sklearn_sketchgn>={stamp['version']}, or fit again."
        )
    return state
