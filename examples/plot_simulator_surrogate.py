"""
A surrogate of a simulator
==========================

A simulation takes its time, and a search for the best inputs asks for many of them. A surrogate is
a regression that is fitted to some runs and answers in their place. Here the simulator is a
chemical batch reactor, a system of differential equations with six inputs. The network of
:class:`~sklearn_sketchgn.SketchGNRegressor` is compared with scikit-learn's other smooth
regressors, :class:`~sklearn.gaussian_process.GaussianProcessRegressor` and
:class:`~sklearn.neural_network.MLPRegressor`. Then its standard deviation says where to simulate
next.
"""

# %%
# The simulator
# -------------
#
# A substance A reacts to the product B, and B decays. Both reactions give off heat, heat makes them
# faster, and a jacket cools. What is wanted is the yield: how much of A is B at the end.

import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.metrics import root_mean_squared_error
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sklearn_sketchgn import SketchGNRegressor

# Temperatures at the start and of the jacket (K), cooling (1 / min), concentration of A (mol / l),
# catalyst (g / l), duration (min).
LOW = np.array([300, 290, 0.05, 0.5, 0.5, 30])
HIGH = np.array([330, 320, 0.3, 2, 2, 90])


def derivative(state, jacket, cooling, catalyst):
    """Return the changes of A, B and the temperature for each minute."""
    a, b, temperature = state
    warmth = 1 / 320 - 1 / temperature
    first = 0.05 * catalyst * np.exp(6000 * warmth) * a  # Arrhenius' law
    second = 0.01 * np.exp(9000 * warmth) * b
    heat = 15 * first + 10 * second - cooling * (temperature - jacket)
    return np.array([-first, first - second, heat])


def simulate(X, n_steps=300):
    """Return the yield of B for every row of inputs, by the midpoint rule."""
    start, jacket, cooling, concentration, catalyst, duration = X.T
    state = np.array([concentration, np.zeros(len(X)), start])
    for _ in range(n_steps):
        slope = derivative(state, jacket, cooling, catalyst)
        slope = derivative(state + duration / n_steps / 2 * slope, jacket, cooling, catalyst)
        state = state + duration / n_steps * slope
    return state[1] / concentration


rng = np.random.default_rng(0)


def draw(n_runs):
    """Return random inputs."""
    return rng.uniform(LOW, HIGH, size=(n_runs, len(LOW)))


X_test = draw(3000)
y_test = simulate(X_test)

# %%
# Three surrogates
# ----------------
#
# With their defaults, but for 64 neurons in place of 256, and for what the others need to do well:
# standardised inputs and targets, and for the Gaussian process a length scale for each input. Times
# are CPU seconds in one thread.

kernel = ConstantKernel() * RBF(np.ones(len(LOW))) + WhiteKernel(1e-6, (1e-12, 1))
models = {
    "SketchGNRegressor": SketchGNRegressor(width=64, random_state=0),
    "GaussianProcessRegressor": make_pipeline(
        StandardScaler(), GaussianProcessRegressor(kernel, normalize_y=True)
    ),
    "MLPRegressor": make_pipeline(
        StandardScaler(),
        TransformedTargetRegressor(MLPRegressor(random_state=0), transformer=StandardScaler()),
    ),
}
results, fitted = {name: [] for name in models}, {}
X_runs = draw(2400)
y_runs = simulate(X_runs)
for n_runs in (150, 600):
    for name, model in models.items():
        start = time.process_time()
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore", ConvergenceWarning)  # MLPRegressor's 200 epochs
            model = clone(model).fit(X_runs[:n_runs], y_runs[:n_runs])
        seconds = time.process_time() - start
        error = root_mean_squared_error(y_test, model.predict(X_test)) / y_test.std()
        results[name].append((n_runs, error, seconds))
        fitted[name, n_runs] = model
        print(f"{n_runs:5d} runs, {name:25} error {error:.3f}, {seconds:5.1f} s")

# %%
# Up to some hundred runs the Gaussian process is the best of the three, and it should be your
# choice there. Its time grows with the cube of the number of runs: another fourfold would take it
# some minutes. That of the network hardly grows.
#
# Where to simulate next
# ----------------------
#
# Suppose there are 150 random runs, and the best yield is wanted. Fit, predict 5000 other inputs,
# and simulate the 25 of them where the yield may be highest: those of largest ``mean + std``. A
# large deviation counts as much as a large prediction, so the search does not stay where it
# started. Then fit again.

X_seen, y_seen = X_runs[:150], y_runs[:150]
surrogate = fitted["SketchGNRegressor", 150]
for n_round in (1, 2):
    if n_round > 1:
        surrogate = clone(surrogate).fit(X_seen, y_seen)
    candidates = draw(5000)
    mean, std = surrogate.predict(candidates, return_std=True)
    chosen = candidates[np.argsort(mean + std)[-25:]]
    X_seen = np.vstack([X_seen, chosen])
    y_seen = np.append(y_seen, simulate(chosen))
    print(
        f"round {n_round}: best yield {y_seen.max():.3f}, mean of the new {y_seen[-25:].mean():.3f}"
    )
print(f"best of {len(y_runs)} random runs: {y_runs.max():.3f}")

# %%
# On the left, how much of the variation of the yield each surrogate misses. On the right, the
# yields of the runs in their order: fifty chosen runs come as far as 2400 random ones.

colours = dict(zip(models, ("tab:blue", "tab:green", "tab:orange"), strict=True))
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for name, points in results.items():
    n_runs, error, seconds = zip(*points, strict=True)
    left.plot(n_runs, error, "o-", color=colours[name], label=name)
    for point, text in zip(zip(n_runs, error, strict=True), seconds, strict=True):
        below = "Gaussian" in name
        left.annotate(
            f"{text:.1f} s", point, (0, -15 if below else 7), textcoords="offset points",
            ha="center", color=colours[name], fontsize=9,
        )  # fmt: skip
left.set(xscale="log", yscale="log", xlim=(120, 750), ylim=(0.04, 0.6))
left.set_xticks([150, 600], ["150", "600"])
left.set_yticks([0.05, 0.1, 0.2, 0.5], ["5 %", "10 %", "20 %", "50 %"])
left.minorticks_off()
left.set(xlabel="simulator runs to learn from", ylabel="error / standard deviation")
left.set_title("Error, and CPU seconds for one fit")
left.grid(alpha=0.3)
left.legend(frameon=False, loc="upper right")
right.plot(np.arange(150), y_seen[:150], ".", color="0.6", label="random")
for n_round, colour in ((1, "tab:cyan"), (2, "tab:blue")):
    runs = np.arange(125 + 25 * n_round, 150 + 25 * n_round)
    right.plot(runs, y_seen[runs], "o", ms=5, color=colour, label=f"chosen, round {n_round}")
right.axhline(y_runs.max(), color="0.3", lw=1, ls="--")
right.text(2, y_runs.max() + 0.01, f"best of {len(y_runs)} random runs", va="bottom")
right.set(xlabel="simulator run", ylabel="yield", ylim=(None, 1))
right.set_title("Simulating where mean + std is largest")
right.legend(frameon=False, loc="lower right")
figure.savefig("plot_simulator_surrogate.png", dpi=150)
plt.show()
