"""
Grid search over the width and the sketch
=========================================

Sketches and solvers are ordinary parameters: a string, or an object with hyperparameters of its
own. :class:`~sklearn.model_selection.GridSearchCV` takes both in one grid, and reaches the
parameters of an object as ``sketch__...``.

The result is worth a look too. A sketch only builds a preconditioner, and the step that is computed
stays the same up to the solver's tolerance. So the sketch can change the time of a fit, and hardly
its error.
"""

# %%
# The grid
# --------
#
# ``solver="cg"`` makes every step precondition with a sketch; ``"auto"`` would solve a table of
# this size directly and never draw one. The second dictionary sets a parameter inside an object:
# ``nnz_per_column`` is the number of nonzeros in each column of a ``CountSketch``. A fixed
# ``alpha`` and ``max_iter=50`` keep the search short.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV, KFold

from sklearn_sketchgn import CountSketch, SketchGNRegressor

X, y = load_diabetes(return_X_y=True, as_frame=True)

widths = [64, 512]
grid = [
    {"width": widths, "sketch": ["srht", "gaussian"]},
    {"width": widths, "sketch": [CountSketch()], "sketch__nnz_per_column": [1, 8]},
]
search = GridSearchCV(
    SketchGNRegressor(solver="cg", alpha=10, max_iter=50, random_state=0),
    grid,
    scoring="neg_root_mean_squared_error",
    cv=KFold(3, shuffle=True, random_state=0),
    n_jobs=2,
)
search.fit(X, y)
search.best_estimator_

# %%
# All the candidates
# ------------------


def name(row):
    """Name the sketch of a candidate, with its parameter where it has one."""
    if isinstance(row["param_sketch"], str):
        return row["param_sketch"]
    return f"CountSketch(nnz_per_column={row['param_sketch__nnz_per_column']:.0f})"


table = pd.DataFrame(search.cv_results_)
table["sketch"] = table.apply(name, axis=1)
errors = -table.pivot(index="sketch", columns="param_width", values="mean_test_score")
seconds = table.pivot(index="sketch", columns="param_width", values="mean_fit_time")
print("cross-validated RMSE\n", errors.round(2).to_string(), sep="")
print("\nseconds for one fit\n", seconds.round(2).to_string(), sep="")

# %%
# At width 64 all sketches agree to the last digit: a sketch of the neurons would have more of them
# than the layer itself, so the exact matrix is factored instead, and ``history_["events"]`` says
# so. The standard deviation of the target is 77.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", sharey=True)
for ax, values, title, form in (
    (axes[0], errors, "cross-validated RMSE", "{:.1f}"),
    (axes[1], seconds, "seconds for one fit", "{:.2f}"),
):
    ax.imshow(
        values.to_numpy(float), cmap="Blues", aspect="auto", vmin=0, vmax=2 * values.max(axis=None)
    )
    ax.set_xticks(range(values.shape[1]), values.columns)
    ax.set_yticks(range(values.shape[0]), values.index)
    ax.set(xlabel="width", title=title)
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            ax.text(j, i, form.format(values.iat[i, j]), ha="center", va="center")
figure.savefig("plot_grid_search.png", dpi=150)
plt.show()
