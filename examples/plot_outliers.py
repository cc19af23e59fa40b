"""
Wrong targets: the Huber loss
=============================

Some targets of a real table are simply wrong: a slipped decimal point, a broken sensor. The squared
error follows them, because a target that is a hundred times too large counts ten thousand times.
With ``loss="huber"`` an error counts by its square up to a threshold, and linearly beyond. The
threshold is found from the residuals of rows that a small network has not seen, so there is nothing
to set.
"""

# %%
# One target in twelve is wrong
# -----------------------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import root_mean_squared_error

from sklearn_sketchgn import SketchGNRegressor

rng = np.random.default_rng(0)


def truth(x):
    return np.sin(2 * x) + 0.5 * x


x = rng.uniform(-3, 3, 240)
y = truth(x) + 0.2 * rng.standard_normal(x.shape)
wrong = np.arange(len(x)) % 12 == 0
y[wrong] += 20 * np.abs(rng.standard_normal(wrong.sum()))
grid = np.linspace(-3, 3, 401)

# %%
# Two losses
# ----------
#
# Neither model is told which targets are wrong.

curves = {}
for loss in ("squared_error", "huber"):
    model = SketchGNRegressor(width=64, loss=loss, random_state=0).fit(x[:, None], y)
    curves[loss] = model.predict(grid[:, None])
    error = root_mean_squared_error(truth(grid), curves[loss])
    print(f"{loss:14} distance from the truth {error:.2f}, penalty chosen {model.alpha_:.2g}")

# %%
# With so much apparent noise the squared error cannot tell the curve from chance: it predicts the
# mean, which the wrong targets pull up. The Huber loss keeps to the right ones.

styles = {"squared_error": ("tab:orange", "squared error"), "huber": ("tab:blue", "Huber")}
figure, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
ax.plot(x[~wrong], y[~wrong], ".", color="0.75", label="targets")
ax.plot(x[wrong], np.minimum(y[wrong], 7.8), "x", color="tab:red", label="wrong targets")
ax.plot(grid, truth(grid), color="black", lw=4, alpha=0.35, label="truth")
for loss, (colour, label) in styles.items():
    ax.plot(grid, curves[loss], color=colour, lw=2, label=label)
ax.set(xlabel="x", ylabel="y", ylim=(-3.2, 10), title="wrong targets above 7.8 are drawn at 7.8")
ax.legend(loc="upper left", frameon=False, ncols=5)
plt.show()
