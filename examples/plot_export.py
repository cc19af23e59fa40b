"""
Carry a fitted network elsewhere
================================

A fitted :class:`~sklearn_sketchgn.SketchGNRegressor` is two matrices and two vectors.
``to_mlp_regressor()`` puts them into a fitted :class:`~sklearn.neural_network.MLPRegressor`, which
the tools around scikit-learn know: `skops <https://skops.readthedocs.io>`_ stores it in a file that
is safe to load, and `skl2onnx <https://onnx.ai/sklearn-onnx>`_ turns it into ONNX, which runs
without Python.

``pip install -e ".[examples,export]"`` installs what this script needs.
"""

# %%
# Fit, and export
# ---------------
#
# The inputs and the target are in their own units: the scaling is part of the weights.

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import skl2onnx
import skops.io
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from sklearn_sketchgn import SKOPS_TRUSTED, SketchGNRegressor

X, y = load_diabetes(return_X_y=True, scaled=False)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = SketchGNRegressor(width=64, random_state=0).fit(X_train, y_train)
expected = model.predict(X_test)
mlp = model.to_mlp_regressor()
print("largest difference of MLPRegressor:", np.abs(mlp.predict(X_test) - expected).max())

# %%
# A file that is safe to load
# ---------------------------
#
# A pickle runs what its writer wants. A skops file holds arrays, numbers and strings, and names of
# types, of which the reader decides which to trust. Those of scikit-learn need no list; to store
# our own class, with its history and its warm start, pass ours.

stored = skops.io.dumps(mlp)
print("types to trust in the export:", skops.io.get_untrusted_types(data=stored))
loaded = skops.io.loads(stored)
own = skops.io.loads(skops.io.dumps(model), trusted=SKOPS_TRUSTED)
print("equal predictions:", np.array_equal(own.predict(X_test), expected))

# %%
# ONNX
# ----
#
# The converter of ``MLPRegressor`` computes in float32, hence the small difference.

onnx = skl2onnx.to_onnx(mlp, X_test[:1].astype(np.float32))
session = onnxruntime.InferenceSession(onnx.SerializeToString(), providers=["CPUExecutionProvider"])
(predicted,) = session.run(None, {session.get_inputs()[0].name: X_test.astype(np.float32)})
difference = np.abs(predicted.ravel() - expected)
print(f"{len(onnx.SerializeToString()) / 1024:.0f} kB, largest difference {difference.max():.1e}")

# %%
# All routes give the same predictions, to the precision of their arithmetic.

figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
axes.plot(expected, predicted.ravel(), "o", markersize=8, alpha=0.4, label="ONNX, float32")
axes.plot(expected, loaded.predict(X_test), "k.", markersize=3, label="skops, float64")
axes.set(
    xlabel="prediction of SketchGNRegressor",
    ylabel="prediction after the export",
    title=f"Three homes, one network: within {difference.max():.0e} of each other",
)
axes.legend()
figure.savefig("plot_export.png", dpi=150)
plt.show()
