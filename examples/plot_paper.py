"""
The paper's algorithm: what is printed, and what it does
========================================================

:class:`~sklearn_sketchgn.SketchGNRegressor` follows van den Brand, Peng, Song and Weinstein,
"Training (Overparametrized) Neural Networks in Near-Linear Time" (ITCS 2021). This script shows two
things about the paper at sizes that run in seconds: the iteration that its Algorithm 2 prints needs
a much larger sketch than conjugate gradient does, and on its own setting its Algorithm 1 contracts
the residual, fast or slowly depending on the data.
"""

# %%
# The inner problem: a regression with a sketched preconditioner
# --------------------------------------------------------------
#
# To solve :math:`A^\top A x = y` for a tall :math:`A` with :math:`n` columns, draw a sketch
# :math:`S` of :math:`s` rows and take :math:`R` such that :math:`S A R` has orthonormal columns.
# With :math:`M = R^\top A^\top A R`, Algorithm 2 prints the gradient step
#
# .. math:: z \leftarrow z - M (M z - R^\top y), \qquad x = R z,
#
# which converges only where the largest eigenvalue of :math:`M` is below :math:`\sqrt 2`. For a
# Gaussian sketch and many columns that means :math:`s > (1 - 2^{-1/4})^{-2} n \approx 39.5\,n`.
# Conjugate gradient on the same :math:`M` converges for every :math:`s > n`.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.linalg import qr, solve_triangular
from scipy.sparse.linalg import cg
from sklearn.exceptions import ConvergenceWarning

from sklearn_sketchgn import Gaussian, SketchGNRegressor, fast_regression

rng = np.random.default_rng(0)
n_columns, n_steps = 60, 40
A = rng.standard_normal((4000, n_columns)) * np.logspace(0, 3, n_columns)
y = A.T @ rng.standard_normal(len(A))


def preconditioned(oversampling):
    """Return M and R'y for a sketch of so many rows for each column."""
    S = Gaussian().draw(oversampling * n_columns, len(A), rng)
    factor = qr(S @ A, mode="economic")[1]
    AR = solve_triangular(factor, A.T, trans="T").T
    return AR.T @ AR, solve_triangular(factor, y, trans="T")


def printed_iteration(M, right):
    """Return the relative residuals ||M z - R'y|| / ||R'y|| of the printed iteration."""
    z, norms = np.zeros_like(right), []
    for _ in range(n_steps + 1):
        residual = M @ z - right
        norms.append(np.linalg.norm(residual))
        z -= M @ residual
    return np.array(norms) / norms[0]


def conjugate_gradient(M, right):
    """Return the same of conjugate gradient."""
    norms = [np.linalg.norm(right)]
    cg(
        M,
        right,
        rtol=1e-14,
        maxiter=n_steps,
        callback=lambda z: norms.append(np.linalg.norm(M @ z - right)),
    )
    return np.array(norms) / norms[0]


inner = {f"printed, s = {ratio}n": printed_iteration(*preconditioned(ratio)) for ratio in (4, 8)}
inner["printed, s = 50n"] = printed_iteration(*preconditioned(50))
inner["conjugate gradient, s = 4n"] = conjugate_gradient(*preconditioned(4))
print(f"relative residual after     {5:>10}{20:>10}{40:>10}  iterations")
for label, norms in inner.items():
    picked = (norms[min(step, len(norms) - 1)] for step in (5, 20, 40))
    print(f"{label:28}" + "".join(f"{value:10.1e}" for value in picked))

# %%
# :func:`~sklearn_sketchgn.fast_regression` is Algorithm 2 with conjugate gradient. It does not mind
# that the columns of this :math:`A` differ in size by a factor of 1000.

x = fast_regression(A, y, tol=1e-10, sketch="gaussian", oversampling=4, rng=0)
print(f"fast_regression, s = 4n: {np.linalg.norm(y - A.T @ (A @ x)) / np.linalg.norm(y):.1e}")

# %%
# The outer loop: Gauss-Newton steps on the paper's network
# ---------------------------------------------------------
#
# The network has a fixed random output layer, and its hidden layer starts from independent standard
# normal weights. Rows have unit norm, and a step is neither damped nor penalised. Theorem 1 of the
# paper promises that the residual shrinks by a constant factor in every step if the network is wide
# enough. Here it has four neurons for each row, far fewer than the theorem asks for, and the
# targets are those of a smooth function.
#
# All eight steps are wanted, so ``tol=0``, and the warning that they ended before any tolerance was
# reached is expected.

n_samples, dimensions = 300, (4, 8, 16, 32)
model = SketchGNRegressor(
    width=4 * n_samples,
    batch_size=None,
    train_output=False,
    alpha=0,
    damping=0,
    solver="cg",
    max_iter=8,
    tol=0,
    random_state=0,
)
outer = {}
for d in dimensions:
    X = rng.standard_normal((n_samples, d))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    target = np.sin(3 * X @ rng.standard_normal(d))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "SketchGN.*max_iter=8 was reached", ConvergenceWarning)
        model.fit(X, target)
    loss = np.array(model.loss_curve_)
    outer[d] = np.sqrt(loss / loss[0])

print("residual after each step, relative to the first; mean factor of a step (down to 1e-8)")
for d, norms in outer.items():
    last = int(np.argmax(norms < 1e-8)) if norms.min() < 1e-8 else len(norms) - 1
    row = " ".join(f"{norm:7.1e}" for norm in norms[1:])
    print(f"d = {d:2d}: {row}   {norms[last] ** (1 / last):.2g}")

# %%
# Few directions, slow contraction
# --------------------------------
#
# With 32 features five steps reach rounding errors, with 16 eight steps reach 1e-9. With 4 features
# the rows crowd on a small sphere and their gradients are nearly dependent: the residual hardly
# falls, and not in every step. The theorem is not contradicted. It asks for a width that grows with
# the inverse of the smallest eigenvalue of the Gram matrix.

figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4), layout="constrained")
styles = ("tab:red", "--"), ("tab:orange", "--"), ("tab:olive", "--"), ("tab:blue", "-")
for (label, norms), (colour, line) in zip(inner.items(), styles, strict=True):
    left.plot(norms, line, color=colour, lw=2, label=label)
left.axhline(1, color="0.3", lw=1)
left.set(
    yscale="log",
    ylim=(1e-13, 1e13),
    xlabel="iteration",
    ylabel="residual / first residual",
    title="Algorithm 2: the printed step needs a large sketch",
)
left.legend(loc="upper right", frameon=False)

shades = plt.colormaps["viridis"](np.linspace(0.8, 0.1, len(outer)))
for (d, norms), shade in zip(outer.items(), shades, strict=True):
    shown = norms[: int(np.argmax(norms < 1e-14)) + 1] if norms.min() < 1e-14 else norms
    right.plot(shown, "o-", color=shade)
    right.annotate(
        f"d = {d}",
        (len(shown) - 1, shown[-1]),
        (6, 0),
        textcoords="offset points",
        va="center",
        color=shade,
    )
right.set(
    yscale="log",
    xlim=(-0.3, 9.6),
    xlabel="Gauss-Newton step",
    ylabel="residual / first residual",
    title="Algorithm 1: the more features, the faster",
)
for ax in (left, right):
    ax.grid(alpha=0.3)
figure.savefig("plot_paper.png", dpi=150)
plt.show()
