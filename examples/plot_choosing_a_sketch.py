"""
Choosing a sketch
=================

A sketch compresses a tall matrix to a few rows for each of its columns, and a factor of what is
left preconditions conjugate gradient. It changes how many iterations are needed, and not the
result. This script counts and times them by :func:`~sklearn_sketchgn.fast_regression`, which
sketches, factors and iterates as the solver :class:`~sklearn_sketchgn.CG` does in the steps of a
fit. It ends with when to choose which.
"""

# %%
# Two matrices
# ------------
#
# Of the *benign* matrix every row is about as important as any other. Of the *coherent* one the
# first hundred rows are 10 to 100,000 times as large. A network has such a Jacobian where a few
# rows of the table are far from all others, or where a neuron is active on a few rows only.

import time

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse.linalg import LinearOperator
from threadpoolctl import threadpool_limits

from sklearn_sketchgn import SRHT, CountSketch, Gaussian, fast_regression

rng = np.random.default_rng(0)
n_rows, n_columns, tol = 10_000, 100, 1e-6
benign = rng.standard_normal((n_rows, n_columns))
coherent = benign.copy()
coherent[:n_columns] *= np.logspace(1, 5, n_columns)[:, None]
matrices = {"benign": benign, "coherent": coherent}

sketches = {
    "CountSketch(nnz_per_column=1)": CountSketch(nnz_per_column=1),
    "CountSketch()": CountSketch(),  # 8 nonzeros in a column, the default
    "SRHT()": SRHT(),
    "Gaussian()": Gaussian(),
}
oversamplings = (2, 4, 8, 16)

# %%
# Count and time
# --------------
#
# An operator that notes its products tells how many iterations there were. The time is CPU time in
# one thread.


def count_iterations(A, y, **settings):
    """Return the products with A that fast_regression needs once it has sketched A."""
    products = []

    def product(v):
        products.append(len(v))
        return A @ v

    operator = LinearOperator(
        A.shape, matvec=product, rmatvec=lambda u: A.T @ u, matmat=lambda V: A @ V, dtype=A.dtype
    )
    fast_regression(operator, y, **settings)
    return len(products) - 1  # the last one checks the result


counts, seconds = {}, {}
for kind, A in matrices.items():
    y = A.T @ rng.standard_normal(n_rows)
    for name, sketch in sketches.items():
        for oversampling in oversamplings:
            settings = {"sketch": sketch, "oversampling": oversampling, "tol": tol, "rng": 0}
            with threadpool_limits(1):
                start = time.process_time()
                fast_regression(A, y, **settings)
                seconds[kind, name, oversampling] = time.process_time() - start
                counts[kind, name, oversampling] = count_iterations(A, y, **settings)

for kind in matrices:
    print(f"{kind}: iterations, milliseconds      " + "".join(f"{s:>10}n" for s in oversamplings))
    for name in sketches:
        cells = (
            f"{counts[kind, name, s]:5d}{1000 * seconds[kind, name, s]:6.0f}" for s in oversamplings
        )
        print(f"    {name:30}" + "".join(cells))

# %%
# Iterations follow from the size of the sketch
# ---------------------------------------------
#
# On the benign matrix all four need about the same number of iterations, at most the formula's
# :math:`\ln(2 / \mathtt{tol}) / \ln\sqrt\gamma` for an oversampling :math:`\gamma`. On the coherent
# one the classical CountSketch, with one nonzero in a column, needs several times as many: where
# two heavy rows fall onto the same row of the sketch, one of them is lost. Eight nonzeros spread
# every row over eight others, and the count is back at the formula.

colours = dict(zip(sketches, ("tab:red", "tab:blue", "tab:green", "tab:purple"), strict=True))
markers = dict(zip(sketches, "sovD", strict=True))
figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
fine = np.linspace(2, 16, 100)
for ax, kind in zip(axes, matrices, strict=False):
    ax.plot(
        fine, np.log(2 / tol) / np.log(np.sqrt(fine)), color="0.6", lw=6, alpha=0.5, label="formula"
    )
    for name in sketches:
        values = [counts[kind, name, s] for s in oversamplings]
        ax.plot(oversamplings, values, marker=markers[name], color=colours[name], label=name)
    ax.set(title=f"{kind} matrix", xlabel="rows of the sketch for each column", yscale="log")
    ax.set(ylabel="iterations of conjugate gradient", ylim=(7, 250))
    ax.set_yticks([10, 20, 50, 100, 200], ["10", "20", "50", "100", "200"])
for name in sketches:
    values = [1000 * seconds["coherent", name, s] for s in oversamplings]
    axes[2].plot(oversamplings, values, marker=markers[name], color=colours[name])
axes[2].set(
    title="coherent matrix, time in all",
    xlabel="rows of the sketch for each column",
    ylabel="milliseconds",
    yscale="log",
)
axes[2].set_yticks([20, 50, 100, 200, 500], ["20", "50", "100", "200", "500"])
for ax in axes:
    ax.set_xscale("log")
    ax.set_xticks(oversamplings, [f"{s}" for s in oversamplings])
    ax.minorticks_off()
    ax.grid(alpha=0.3)
axes[0].legend(frameon=False, fontsize=9)
figure.savefig("plot_choosing_a_sketch.png", dpi=150)
plt.show()

# %%
# What to choose
# --------------
#
# Stay with the default, ``CountSketch()``: it is as cheap as any and does not mind coherence.
# ``SRHT()`` costs the same whatever its size. ``Gaussian()`` multiplies with a dense matrix and
# pays for every row of it; it is there because its behaviour is known exactly. An oversampling of 4
# is a good middle: below it iterations pile up, and above it a larger sketch has to be factored. In
# a fit it is ``CG(oversampling=4)``.
