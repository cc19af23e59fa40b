"""
Watching convergence
====================

A fit has two phases: 1200 to 5400 steps on batches of rows, in cycles of falling length, and then
up to ten steps on all rows, whose damping adapts (here one: on so large a table they are dear).
:class:`~sklearn_sketchgn.ConvergenceDisplay` shows both. The table is a surrogate of a simulator:
the distance of a robot's hand from its shoulder, by the angles and lengths of four joints.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np

from sklearn_sketchgn import ConvergenceDisplay, SketchGNRegressor

rng = np.random.default_rng(0)


def arm(n_samples):
    """Return angles and lengths of four joints, and the distance of the hand."""
    angles = rng.uniform(-np.pi / 2, np.pi / 2, size=(n_samples, 4))
    lengths = rng.uniform(0.3, 1, size=(n_samples, 4))
    reach = np.sum(lengths * np.exp(1j * np.cumsum(angles, axis=1)), axis=1)
    return np.hstack([angles, lengths]), np.abs(reach)


X, y = arm(3000)
X_val, y_val = arm(500)

# %%
# A fit with its defaults
# -----------------------
#
# With rows to validate on, the display marks the network of least validation loss, which is the one
# that is kept. The validation loss levels off while the training loss still falls, and hardly rises
# again: with the penalty that was chosen there is little for early stopping to prevent.
#
# The saw teeth are no accident. Each begins a cycle of 300 steps with full length, under another
# penalty, while a quarter of the rows is held out to judge it. In the last, longer one these rows
# join, and the loss counts rows that the network has not learnt from. A fixed ``alpha`` holds
# nothing out, and has no cycles.

model = SketchGNRegressor(width=64, random_state=0)
model.fit(X, y, X_val=X_val, y_val=y_val)
print(f"{model.n_iter_} steps, ended by: {model.stop_reason_}")
ConvergenceDisplay.from_estimator(model)

# %%
# Steps on all rows only
# ----------------------
#
# ``batch_size=None`` is the method of the paper, with damping. Where a step is predicted well the
# damping falls, which makes the next step longer; where it is not, the step is rejected and the
# damping grows. ``solver="cg"`` solves the linear systems by conjugate gradient. The preconditioner
# of one step is kept for the next, and given up after 30 iterations where it no longer serves; a
# new one, exact for a network as small as this, needs one more. Towards the end steps are short,
# and an old preconditioner serves again.

full = SketchGNRegressor(
    width=32, batch_size=None, max_iter=25, solver="cg", alpha=0.1, tol=0, random_state=0
)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns that 25 steps are few
    full.fit(X[:1000], y[:1000])
ConvergenceDisplay.from_estimator(full)

# %%
# Several fits in one picture
# ---------------------------
#
# Pass an axes, and the display draws its losses there and nothing else. Without momentum the
# batches end higher, and the few steps on all rows do not make up for it.

fig, ax = plt.subplots(layout="constrained")
for momentum in (0.0, 0.5, 0.9):
    other = SketchGNRegressor(
        width=64, alpha=0.1, momentum=momentum, max_iter=300, batch_size=256, random_state=0
    )
    other.fit(X, y)
    ConvergenceDisplay.from_estimator(other, ax=ax, label=f"momentum {momentum}")
plt.show()
