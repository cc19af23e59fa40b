"""scikit-learn's callbacks, where it has them (1.9 and later)."""

import time

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sketchgn import SketchGNRegressor

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn below 1.9 has none")


class Recorder:
    """Writes down which hooks were called; says stop after so many leaves."""

    def __init__(self, stop_after=None):
        self.begun, self.ended, self.scores = [], [], []
        self.calls, self.stop_after = [], stop_after

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        assert len(X) == len(y)
        self.begun.append((context.task_name, context.task_id, context.max_subtasks))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.ended.append((context.task_name, context.task_id, context.max_subtasks))
        if fitted_estimator is not None:
            self.scores.append(fitted_estimator.score(X, y))
        return self.stop_after is not None and len(self.ended) >= self.stop_after


@pytest.fixture(scope="module")
def table():
    pytest.importorskip("pandas")
    return load_diabetes(return_X_y=True, as_frame=True)


def quick(**parameters):
    few = {"width": 8, "max_iter": 20, "alpha": 1.0, "random_state": 0}
    return SketchGNRegressor(**{**few, **parameters})


@pytest.mark.parametrize("parameters", [{}, {"n_members": 2}, {"batch_size": None, "tol": 0.05}])
def test_every_epoch_and_step_is_a_task(parameters, table):
    recorder = Recorder()
    model = quick(**parameters).set_callbacks(recorder).fit(*table)
    assert recorder.calls == ["setup", "teardown"]
    assert recorder.begun[0][0] == "fit"
    assert recorder.ended[-1][0] == "fit"
    assert sorted(recorder.begun) == sorted(recorder.ended)
    leaves = recorder.begun[1:]
    assert [leaf[1] for leaf in leaves] == list(range(len(leaves)))
    # One score a loss after the first, and one of the end.
    assert len(recorder.scores) == len(model.loss_curve_)
    assert recorder.scores[-1] == pytest.approx(model.score(*table))
    assert all(np.diff(recorder.scores[:3]) > 0)
    names = [leaf[0] for leaf in leaves]
    batches = [name for name in names if name == "epoch of batches"]
    assert names == batches + ["step on all rows"] * (len(names) - len(batches))
    # Nine tenths of twenty steps, two to an epoch.
    assert len(batches) == (9 if parameters.get("batch_size", "auto") is not None else 0)
    assert recorder.begun[0][2] >= len(leaves)


def test_callbacks_change_nothing(table):
    plain, watched = quick(), quick().set_callbacks(Recorder())
    np.testing.assert_array_equal(plain.fit(*table).coefs_[0], watched.fit(*table).coefs_[0])
    assert vars(plain).keys() | {"_skl_callbacks"} == vars(watched).keys()


@pytest.mark.parametrize("parameters", [{}, {"batch_size": None, "tol": 0.0}])
def test_a_callback_can_stop_the_fit(parameters, table):
    model = quick(**parameters).set_callbacks(Recorder(stop_after=3)).fit(*table)
    assert model.stop_reason_ == "a callback asked to stop"
    assert len(model.loss_curve_) == 1 + 3
    assert model.score(*table) > 0


@pytest.mark.parametrize("n_jobs", [None, 3])
def test_a_callback_ends_all_members(n_jobs, table):
    class Slow(Recorder):
        def on_fit_task_end(self, estimator, context, **arguments):
            time.sleep(0.02)  # so that the other threads have begun
            return super().on_fit_task_end(estimator, context, **arguments)

    model = quick(n_members=3, n_jobs=n_jobs, max_iter=100_000)
    model.set_callbacks(Slow(stop_after=3)).fit(*table)
    assert model.stop_reason_ == "a callback asked to stop"
    assert len(model.loss_curve_) == 1 + 3
    # Those that have not begun are left out, and those that have are ended.
    assert n_jobs or len(model.members_) == 1
    assert max(len(member["loss_curve"]) for member in model.members_) < 10_000
    assert model.score(*table) > 0


def test_an_error_tears_down_and_leaves_the_estimator_as_it_was(table):
    class Failing(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("what a callback may do")

    failing = Failing()
    model = quick().set_callbacks(failing)
    before = set(vars(model))
    with pytest.raises(RuntimeError, match="what a callback may do"):
        model.fit(*table)
    assert failing.calls == ["setup", "teardown"]
    assert set(vars(model)) == before


class Checkpoint(Recorder):
    """Keeps the estimator of one leaf, after spoiling what it shares with the fit."""

    def __init__(self, at):
        super().__init__()
        self.at, self.kept = at, None

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.ended.append(context.task_name)
        if len(self.ended) == self.at:
            self.kept = fitted_estimator
            self.bounds = fitted_estimator.input_bounds_.copy()
            fitted_estimator.input_bounds_[:] = 0


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"n_members": 2},
        {"encoding": "piecewise"},
        {"early_stopping": True, "max_iter": 60, "alpha": 1e-4, "n_iter_no_change": 50},
        {"alpha": "auto", "width": 16, "batch_size": 100, "max_iter": 40},
    ],
)
def test_a_checkpoint_is_what_a_fit_would_be_that_ended_there(parameters, late, table):
    X, y = table
    plain = quick(**parameters).fit(X, 1000 * y)
    at = len(plain.loss_curve_) - 2 if late else 3  # late is among the steps on all rows
    stopped = quick(**parameters).set_callbacks(Recorder(stop_after=at)).fit(X, 1000 * y)
    checkpoint = Checkpoint(at)
    model = quick().fit(X.iloc[:, :4], y - 100)  # of another scale, and perhaps of other columns
    model.set_params(**parameters).set_callbacks(checkpoint).fit(X, 1000 * y)
    np.testing.assert_array_equal(model.predict(X), plain.predict(X))
    kept = checkpoint.kept
    kept.input_bounds_ = checkpoint.bounds
    np.testing.assert_array_equal(kept.predict(X), stopped.predict(X))
    np.testing.assert_allclose(kept.to_mlp_regressor().predict(X), stopped.predict(X))
    for name in ("loss_", "n_iter_", "loss_curve_", "alpha_", "damping_", "stop_reason_"):
        assert getattr(kept, name) == getattr(stopped, name)
    assert kept.history_["objective"] == stopped.history_["objective"]
    assert kept.n_members == 1
    with pytest.raises(ValueError, match="because its fit has not ended"):
        kept.predict(X, return_std=True)


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("how", ["partial_fit", "fit"])
def test_a_checkpoint_can_be_gone_on_from(how, n_members, table):
    X, y = table
    checkpoint = Checkpoint(5)
    quick(warm_start=True, n_members=n_members).set_callbacks(checkpoint).fit(X, y - 100)
    kept = checkpoint.kept
    kept.input_bounds_ = checkpoint.bounds
    before = kept.predict(X)
    kept.set_callbacks().set_params(damping=1e9, momentum=0.0, max_iter=1)  # hardly a step
    getattr(kept, how)(X, y - 100)
    np.testing.assert_allclose(kept.predict(X), before, rtol=0.01, atol=1)


def test_an_interrupt_at_the_end_costs_nothing(table):
    class Interrupting(Recorder):
        def on_fit_task_end(self, estimator, context, **arguments):
            if context.task_name == "fit":
                raise KeyboardInterrupt

    model = quick().set_callbacks(Interrupting()).fit(*table)
    assert model.stop_reason_ == "the fit was interrupted"
    np.testing.assert_array_equal(model.predict(table[0]), quick().fit(*table).predict(table[0]))


def test_scoring_monitor(table):
    monitor = callback.ScoringMonitor(scoring=["r2", "neg_mean_squared_error"])
    weight = np.linspace(1, 2, len(table[1]))
    model = quick().set_callbacks(monitor).fit(*table, sample_weight=weight)
    rows = monitor.get_logs().data
    scores = [row for row in rows if len(row["task_id_path"]) == 2]
    assert len(scores) == len(model.loss_curve_) - 1
    assert scores[-1]["r2"] == pytest.approx(model.score(*table, sample_weight=weight))
    assert scores[-1]["neg_mean_squared_error"] == pytest.approx(-2 * model.loss_, rel=1e-6)


def test_scoring_monitor_in_a_pipeline_and_a_grid_search(table):
    monitor = callback.ScoringMonitor(scoring="r2")
    pipeline = make_pipeline(StandardScaler(), quick().set_callbacks(monitor))
    search = GridSearchCV(pipeline, {"sketchgnregressor__width": [4, 8]}, cv=2).fit(*table)
    paths = {row["parent_task_id_path"] for row in monitor.get_logs("all")[0].data}
    assert paths
    assert len({log.run_id for log in monitor.get_logs("all")}) >= 1
    final = search.best_estimator_[-1]
    assert len(final.loss_curve_) > 1
    assert clone(final)._skl_callbacks == [monitor]


@pytest.mark.parametrize("wrap", ["alone", "pipeline", "search"])
def test_progress_bar(wrap, table, capsys):
    pytest.importorskip("rich")
    bar = callback.ProgressBar(max_propagation_depth=None)
    model = quick()
    if wrap != "alone":
        model = make_pipeline(StandardScaler(), model)
    if wrap == "search":
        model = GridSearchCV(model, {"sketchgnregressor__width": [4, 8]}, cv=2)
    model.set_callbacks(bar).fit(*table)
    out = capsys.readouterr().out
    assert "SketchGNRegressor" in out
    assert "100%" in out
