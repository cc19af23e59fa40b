"""
How sure is a prediction?
=========================

``predict(X, return_std=True)`` returns a standard deviation beside each prediction. This example
fits one curve whose noise grows to the right, with a gap in the data, and looks at two things:
whether the band is wide where it should be, and whether its width can be trusted on rows that were
not fitted.
"""

# %%
# A curve with noise that varies, and a gap
# -----------------------------------------
#
# There is no point between 4 and 6, none below 0 and none above 10.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_sketchgn import SketchGNRegressor, UncertaintyDisplay

rng = np.random.default_rng(0)


def draw(n_samples):
    """Return inputs, and targets with noise whose deviation rises from 0.1 to 0.6."""
    x = rng.uniform(0, 10, size=2 * n_samples)
    x = np.sort(x[(x < 4) | (x > 6)][:n_samples])
    return x[:, None], np.sin(x) + 0.3 * x + (0.1 + 0.05 * x) * rng.standard_normal(len(x))


X, y = draw(1000)
X_unseen, y_unseen = draw(1000)
model = SketchGNRegressor(width=64, random_state=0).fit(X, y)

# %%
# Two rows, two reasons to be unsure: the noise of the data, and the lack of data.

grid = np.linspace(-4, 14, 361)[:, None]
mean, std = model.predict(grid, return_std=True)
for where in (1.0, 5.0, 9.0, 13.0):
    print(f"x = {where:4.1f}: deviation {std[np.argmin(np.abs(grid[:, 0] - where))]:.2f}")

# %%
# The band, and whether to trust it
# ---------------------------------
#
# On the right, the share of unseen targets inside of the intervals is drawn against the share that
# the intervals promise. Near the diagonal the deviations can be trusted, below it they are too
# small. Look at this picture on rows of your own before you rely on a deviation. Far from the data
# no picture helps: there the band shows that the network knows little, not how wrong it is.
#
# In the gap the band is wide in the middle only, and grows by jumps. The network is piecewise
# linear, and its bends between 4 and 6 have gathered at a few places. Up to the first bend and
# beyond the last it goes on along the lines that the data on either side determine, and is as
# sure as a straight line through these data would be. On the pieces between them there is no data
# at all. The thin spike near 7 is such a piece, too: two bends 0.004 apart with no row between
# them. Several members (``n_members=4``) have their bends at different places, and smooth the
# jumps a little.

figure, (left, right) = plt.subplots(
    1, 2, figsize=(11, 4.4), layout="constrained", width_ratios=(1.6, 1)
)
left.fill_between(
    grid[:, 0], mean - 1.645 * std, mean + 1.645 * std, color="tab:blue", alpha=0.25, lw=0
)
left.plot(X[:, 0], y, ".", color="0.35", ms=2.5, label="fitted rows")
left.plot(grid[:, 0], mean, color="tab:blue", lw=2, label="prediction, 90 % interval")
for start, stop in ((-4, 0), (4, 6), (10, 14)):
    left.axvspan(start, stop, color="tab:orange", alpha=0.12, lw=0)
left.text(5, -2.7, "no data", ha="center", color="tab:orange", weight="bold")
left.set(xlabel="x", ylabel="target", ylim=(-3, 8), xlim=(-4, 14))
left.set_title("Wide where it is noisy, and where there is no data")
left.legend(loc="upper left", frameon=False)
UncertaintyDisplay.from_estimator(model, X_unseen, y_unseen, ax=right)
figure.savefig("plot_uncertainty.png", dpi=100)
plt.show()
