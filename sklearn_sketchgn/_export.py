"""Export to a fitted MLPRegressor."""

from sklearn.neural_network import MLPRegressor


def to_mlp_regressor(model):
    """Return an MLPRegressor with the weights of a fitted SketchGNRegressor."""
    exponential = model.out_activation_ == "exp"
    if exponential and "loss" not in MLPRegressor().get_params():
        raise ValueError(
            "A network with loss='poisson' can be exported from scikit-learn 1.7 on: before it, "
            "MLPRegressor had no loss and no exponential output."
        )
    loss = {"loss": "poisson"} if exponential else {}
    mlp = MLPRegressor(hidden_layer_sizes=(len(model.intercepts_[0]),), activation="relu", **loss)
    mlp.coefs_ = [coef.copy() for coef in model.coefs_]
    mlp.intercepts_ = [intercept.copy() for intercept in model.intercepts_]
    mlp.n_layers_ = 3
    mlp.n_outputs_ = model.n_outputs_
    mlp.out_activation_ = model.out_activation_
    mlp.n_features_in_ = model.n_features_in_
    if hasattr(model, "feature_names_in_"):
        mlp.feature_names_in_ = model.feature_names_in_.copy()
    mlp.n_iter_ = model.n_iter_
    mlp.loss_ = float(model.loss_)
    mlp.loss_curve_ = [float(loss) for loss in model.loss_curve_]
    mlp.t_ = model.n_iter_
    return mlp
