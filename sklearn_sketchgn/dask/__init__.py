"""Fit to tables that are spread over the workers of a Dask cluster (extra ``dask``)."""

try:
    import dask.array  # noqa: F401
    import dask.dataframe  # noqa: F401
    import distributed  # noqa: F401
except ImportError as error:
    raise ImportError(
        "sklearn_sketchgn.dask needs Dask's arrays, dataframes and scheduler; install them by "
        "`pip install 'sklearn-sketchgn[dask]'`."
    ) from error

from ._estimator import DaskSketchGNRegressor

__all__ = ["DaskSketchGNRegressor"]
