"""Turn the ``sketch`` and ``solver`` parameters into strategy objects of one fit."""

from sklearn.base import clone


def resolve_strategy(value, registry, *, name, methods):
    """Return a fresh strategy object for a string of the registry or a user's own object.

    Parameters
    ----------
    value : str or object
        What the user passed; an object is cloned, never used itself.
    registry : dict of str to class
        The strategies that have a name.
    name : str
        Name of the parameter, for messages.
    methods : tuple of str
        What an object must be able to do.

    Raises
    ------
    ValueError
        If a string is not in the registry.
    TypeError
        If an object lacks one of the methods.
    """
    options = ", ".join(repr(key) for key in registry)
    if isinstance(value, str):
        if value not in registry:
            raise ValueError(
                f"The {name!r} parameter must be one of {options} or a strategy object; "
                f"got {value!r}."
            )
        return registry[value]()
    missing = [method for method in methods if not callable(getattr(value, method, None))]
    if missing or isinstance(value, type):
        lacks = "is a class, not an instance" if isinstance(value, type) else f"has no {missing[0]}"
        raise TypeError(
            f"The {name!r} parameter must be one of {options} or an object with the methods "
            f"{', '.join(methods)}; got {value!r}, which {lacks}."
        )
    return clone(value)
