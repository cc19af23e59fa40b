"""
Learning from a stream
======================

:meth:`~sklearn_sketchgn.SketchGNRegressor.partial_fit` learns from rows as they come, and keeps
none of them. Here a machine heats up while it is measured: its temperature, an input, drifts out
of the range that the first rows were in. The scaling follows the stream, and predictions do not
move when it does.
"""

import copy

import matplotlib.pyplot as plt
import numpy as np

from sklearn_sketchgn import SketchGNRegressor

rng = np.random.default_rng(0)


def measure(n_rows, warmth):
    """Return rows of (temperature, speed, load) at a warmth between 0 and 1, and the friction."""
    temperature = 20 + 60 * warmth + rng.normal(scale=4, size=n_rows)
    speed = rng.uniform(100, 3000, size=n_rows)
    load = rng.uniform(0.5, 2, size=n_rows)
    viscosity = np.exp(-(temperature - 20) / 30)
    friction = load * np.abs(np.log10(viscosity * speed / load / 300)) + 0.3 * viscosity
    X = np.column_stack([temperature, speed, load])
    return X, friction + rng.normal(scale=0.02, size=n_rows)


# %%
# Two models: one is fitted to the first thousand rows and left alone; the other goes on from there
# with blocks of 100 rows. Every block is first predicted by both, and then learnt by the second
# one: these are errors on rows that neither model has seen.

first = measure(1000, 0.0)
fixed = SketchGNRegressor(width=64, random_state=0).fit(*first)
learning = copy.deepcopy(fixed)

warmth = np.concatenate([np.zeros(20), np.linspace(0, 1, 100), np.ones(60)])
errors = {"fit once": [], "partial_fit on every block": []}
for warm in warmth:
    X, y = measure(100, warm)
    for label, model in zip(errors, (fixed, learning), strict=True):
        errors[label].append(np.sqrt(np.mean((model.predict(X) - y) ** 2)))
    learning.partial_fit(X, y)

# %%
# While the machine is cold both are equally good. As it warms up, the model that was fitted once
# extrapolates, and fails; the one that learns follows.

rows = 1000 + 100 * np.arange(len(warmth))
fig, ax = plt.subplots(layout="constrained")
for (label, error), color in zip(errors.items(), ("C1", "C0"), strict=True):
    ax.plot(rows, error, color=color, label=label)
ax.axhline(0.02, color="0.6", linestyle="--", label="noise of the measurement")
ax.set(xlabel="rows seen", ylabel="RMSE on the next block of 100 rows", yscale="log")
ax.axvspan(rows[20], rows[119], color="C3", alpha=0.08, label="the machine warms up")
ax.legend()
plt.show()

# %%
# ``loss_curve_`` has one entry for each block, half the mean squared error before the block was
# learnt: the curve above comes for free.

print(np.round(np.sqrt(2 * np.array(learning.loss_curve_[-3:])), 3))
print(np.round(errors["partial_fit on every block"][-3:], 3))
