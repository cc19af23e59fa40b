"""Check Dask collections by what is known without computing, and cut them into blocks of rows."""

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np

from ._blocks import read_block

_HOW = "SketchGNRegressor takes arrays in memory; dask.array.from_array makes a collection of one."


def is_collection(X):
    """Return whether this is a Dask array, dataframe or series."""
    return isinstance(X, (da.Array, dd.DataFrame, dd.Series))


def check_inputs(X):
    """Raise for inputs that are not one Dask array or dataframe of numbers, whole in each row."""
    if not isinstance(X, (da.Array, dd.DataFrame)):
        raise TypeError(
            f"X must be a dask array or dataframe; got {type(X).__module__}.{type(X).__name__}. "
            f"{_HOW}"
        )
    _check_numbers(X, "X")
    if isinstance(X, da.Array):
        if X.ndim != 2:
            raise ValueError(f"X must have two dimensions; got an array of shape {X.shape}.")
        _check_rows(X, "X")


def example_of(X):
    """Return a table of no rows with the columns of X, for checks of names and their number."""
    return X._meta if isinstance(X, dd.DataFrame) else np.empty((0, X.shape[1]))


def raw_blocks(client, X, y, sample_weight, groups=None):
    """Start reading, and return one future of a :class:`RawBlock` for every block of rows.

    Raises
    ------
    TypeError, ValueError
        If the collections are not what ``fit`` documents, or do not match; nothing is computed.
    """
    check_inputs(X)
    _check_column(y, "y", (1, 2))
    if sample_weight is not None:
        _check_column(sample_weight, "sample_weight", (1,))
    if groups is not None:
        _check_column(groups, "groups", (1,), numbers=False)
    parts = [_parts(X)]
    for name, other in (("y", y), ("sample_weight", sample_weight), ("groups", groups)):
        if other is None:
            parts.append([None] * len(parts[0]))
            continue
        _check_alignment(X, other, name)
        parts.append(_parts(other))
    read = dask.delayed(read_block, pure=False, traverse=False)
    return client.compute([read(*part, i) for i, part in enumerate(zip(*parts, strict=True))])


def _check_column(y, name, dimensions, *, numbers=True):
    if not is_collection(y):
        raise TypeError(
            f"{name} must be a dask array, series or dataframe; got "
            f"{type(y).__module__}.{type(y).__name__}. {_HOW}"
        )
    if numbers:
        _check_numbers(y, name)
    if y.ndim not in dimensions:
        expected = " or ".join(map(str, dimensions))
        raise ValueError(f"{name} must have {expected} dimension(s); got {y.ndim}.")
    if isinstance(y, da.Array):
        _check_rows(y, name)


def n_columns(collection):
    """Return the number of columns of a collection, 1 of one of a single dimension."""
    if isinstance(collection, dd.DataFrame):
        return len(collection.columns)
    return collection.shape[1] if collection.ndim > 1 else 1


def _check_numbers(collection, name):
    if not n_columns(collection):
        raise ValueError(f"{name} has no columns; expected at least one.")
    if isinstance(collection, dd.DataFrame):
        dtypes = {str(column): dtype for column, dtype in collection.dtypes.items()}
    else:
        dtypes = {"": collection.dtype}
    wrong = {c: str(t) for c, t in dtypes.items() if getattr(t, "kind", "O") not in "biuf"}
    if wrong:
        found = ", ".join(f"{c!r}: {t}" if c else t for c, t in wrong.items())
        raise ValueError(
            f"{name} holds values that are not real numbers (dtype {found}); convert them, for "
            "example by .astype(float), or encode them first."
        )


def _check_rows(array, name):
    if np.isnan(sum(array.chunks[0])):
        raise ValueError(
            f"The chunks of {name} have unknown sizes, so that its rows cannot be matched with "
            f"others. Call {name}.compute_chunk_sizes() first, or make the array by "
            "to_dask_array(lengths=True)."
        )
    if array.ndim == 2 and array.numblocks[1] > 1:
        raise ValueError(
            f"{name} is cut into {array.numblocks[1]} chunks along its columns; a block must hold "
            f"whole rows. Call {name}.rechunk({{1: -1}}) first."
        )


def _check_alignment(X, other, name):
    """Raise if it is known already that the blocks of rows of X and another are not the same."""
    if isinstance(X, da.Array) and isinstance(other, da.Array):
        if X.chunks[0] != other.chunks[0]:
            raise ValueError(
                f"X and {name} are cut into different blocks of rows: {_brief(X.chunks[0])} and "
                f"{_brief(other.chunks[0])}. Call {name}.rechunk({{0: X.chunks[0]}}) first."
            )
    if _n_blocks(X) != _n_blocks(other):
        raise ValueError(
            f"X has {_n_blocks(X)} blocks of rows and {name} has {_n_blocks(other)}; expected the "
            "same rows in each. Repartition or rechunk one of them."
        )
    if not isinstance(X, da.Array) and not isinstance(other, da.Array):
        if X.known_divisions and other.known_divisions and X.divisions != other.divisions:
            raise ValueError(
                f"The partitions of X and {name} have different divisions, "
                f"{_brief(X.divisions)} and {_brief(other.divisions)}. Call "
                f"{name}.repartition(divisions=X.divisions) first."
            )


def _brief(numbers):
    shown = ", ".join(map(str, numbers[:4]))
    return f"({shown}, ...)" if len(numbers) > 4 else f"({shown})"


def _n_blocks(collection):
    return collection.numblocks[0] if isinstance(collection, da.Array) else collection.npartitions


def _parts(collection):
    return list(np.ravel(collection.to_delayed()))
