"""Export to a fitted MLPRegressor, and the names that skops needs to load our own class."""

from sklearn.neural_network import MLPRegressor

#: Types of this package in a fitted :class:`SketchGNRegressor`: ``skops.io.load(file,
#: trusted=SKOPS_TRUSTED)`` loads one with the package's own sketches and solvers. They hold
#: arrays, numbers and strings. An exported MLPRegressor needs no such list.
SKOPS_TRUSTED = [
    "sklearn_sketchgn._encoding.Ramps",
    "sklearn_sketchgn._losses.Huber",
    "sklearn_sketchgn._losses.Poisson",
    "sklearn_sketchgn._losses.SquaredError",
    "sklearn_sketchgn._moments.Moments",
    "sklearn_sketchgn._network.Network",
    "sklearn_sketchgn._regressor.SketchGNRegressor",
    "sklearn_sketchgn._scaling.Scaling",
    "sklearn_sketchgn._streaming.Stream",
    "sklearn_sketchgn._training.Training",
    "sklearn_sketchgn._uncertainty.Uncertainty",
    "sklearn_sketchgn.sketches._count_sketch.CountSketch",
    "sklearn_sketchgn.sketches._gaussian.Gaussian",
    "sklearn_sketchgn.sketches._srht.SRHT",
    "sklearn_sketchgn.solvers._auto.Auto",
    "sklearn_sketchgn.solvers._cg.CG",
    "sklearn_sketchgn.solvers._direct.Direct",
]


def to_mlp_regressor(model):
    """Return an MLPRegressor with the weights of a fitted SketchGNRegressor."""
    exponential = model.out_activation_ == "exp"
    if exponential and "loss" not in MLPRegressor().get_params():
        raise ValueError(
            "A network with loss='poisson' can be exported from scikit-learn 1.7 on: before it, "
            "MLPRegressor had no loss and no exponential output."
        )
    loss = {"loss": "poisson"} if exponential else {}
    sizes = tuple(len(intercept) for intercept in model.intercepts_[:-1])
    mlp = MLPRegressor(hidden_layer_sizes=sizes, activation="relu", **loss)
    mlp.coefs_ = [coef.copy() for coef in model.coefs_]
    mlp.intercepts_ = [intercept.copy() for intercept in model.intercepts_]
    mlp.n_layers_ = len(sizes) + 2
    mlp.n_outputs_ = model.n_outputs_
    mlp.out_activation_ = model.out_activation_
    mlp.n_features_in_ = model.n_features_in_
    if hasattr(model, "feature_names_in_"):
        mlp.feature_names_in_ = model.feature_names_in_.copy()
    mlp.n_iter_ = model.n_iter_
    mlp.loss_ = float(model.loss_)
    mlp.loss_curve_ = [float(loss) for loss in model.loss_curve_]
    mlp.best_loss_ = min(mlp.loss_curve_)
    mlp._no_improvement_count = 0  # without these two it could not be trained on
    # Samples seen in training; a stream uses each of its rows once.
    mlp.t_ = max(sum(model.history_["batch_size"]), model._stream.n_rows)
    return mlp
