"""Whether ramps pay: what the probes are judged by, and what follows from it."""

import numpy as np
import pytest

from sklearn_sketchgn import SketchGNRegressor, _encoding_choice


def quick(**parameters):
    few = {"width": 16, "alpha": 0.1, "max_iter": 40, "random_state": 0}
    return SketchGNRegressor(**{**few, **parameters})


@pytest.fixture
def steps(rng):
    """Products of steps of two columns of four, as trees find them; noise beside it."""
    X = rng.uniform(size=(2400, 4))
    y = (np.floor(5 * X[:, 0]) % 2 - 0.5) * np.sign(X[:, 1] - 0.4) + X[:, 2]
    noisy = y[:400] + 0.1 * rng.standard_normal(400)
    return X[:400], noisy, X[400:], y[400:]


def relative_error(model, X, y):
    return np.sqrt(np.mean((model.predict(X) - y) ** 2)) / np.std(y)


def test_steps_are_learnt_and_auto_finds_that_out(steps):
    X, y, X_test, y_test = steps
    model = SketchGNRegressor(random_state=0)
    plain = relative_error(model.fit(X, y), X_test, y_test)
    model.set_params(encoding="piecewise").fit(X, y)
    assert relative_error(model, X_test, y_test) < 0.7 * plain
    expected = model.predict(X_test)
    model.set_params(encoding="auto").fit(X, y)
    np.testing.assert_array_equal(model.predict(X_test), expected)


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "huber"])
def test_judges_that_are_not_held_choose_as_those_that_are(loss, steps, monkeypatch):
    X, y, *_ = steps
    y = np.floor(np.exp(y)) if loss == "poisson" else y
    model = quick(encoding="auto", loss=loss, max_iter=4)
    held = model.fit(X, y).predict(X)
    np.testing.assert_array_equal(model.fit(X, y).predict(X), held)  # the same bits again
    monkeypatch.setattr("sklearn_sketchgn._training_data.HELD_NUMBERS", 3 * X.size)
    for module in ("_training_data", "_lazy_rows"):
        monkeypatch.setattr(f"sklearn_sketchgn.{module}.COPIED_NUMBERS", 100)
    assert len(model.fit(X, y).coefs_) == 3
    np.testing.assert_allclose(model.predict(X), held, rtol=0.2, atol=0.2)


def test_what_is_smooth_stays_plain_to_the_last_bit(rng):
    X = rng.standard_normal((300, 5))
    y = np.tanh(X @ rng.standard_normal(5)) + 0.02 * rng.standard_normal(300)
    plain = SketchGNRegressor(random_state=0).fit(X, y)
    found = SketchGNRegressor(random_state=0, encoding="auto").fit(X, y)
    assert len(found.coefs_) == 2
    np.testing.assert_array_equal(found.predict(X), plain.predict(X))


@pytest.mark.parametrize("seed", range(4))
def test_ramps_that_tell_nothing_are_not_taken(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((9000, 4)), rng.standard_t(3, 9000)
    model = SketchGNRegressor(16, encoding="auto", random_state=seed, max_iter=30)
    assert len(model.fit(X, X[:, 0] + y).coefs_) == 2


@pytest.mark.parametrize(("grouped", "most"), [(False, 2048), (True, 2048), (True, 30)])
def test_both_probes_are_judged_by_the_same_rows(grouped, most, steps, monkeypatch):
    searches = []
    original = _encoding_choice.probe

    def probe(*args, **kwargs):
        searches.append(original(*args, **kwargs))
        return searches[-1]

    monkeypatch.setattr(_encoding_choice, "probe", probe)
    monkeypatch.setattr("sklearn_sketchgn._penalty.JUDGES", most)
    X, y, _, _ = steps
    sizes = [120, 60, *[20] * 11]
    groups = np.repeat(np.arange(13), sizes) if grouped else None
    quick(encoding="auto", width=64).fit(X, y, groups=groups)
    plain, ramped = searches
    assert len(plain.groups) == len(ramped.groups) == 4
    for one, other in zip(plain.groups, ramped.groups, strict=True):
        np.testing.assert_array_equal(one.judges.targets, other.judges.targets)
        assert len(one.judges)
    assert plain.weight == ramped.weight
    n_judges = sum(len(group.judges) for group in plain.groups)
    errors = sum(group.error() for group in plain.groups)
    assert plain.mean_loss() == pytest.approx(errors / n_judges, rel=1e-5)


def test_the_judges_of_the_probes_decide(steps, monkeypatch):
    class Probe:
        def __init__(self, loss):
            self.mean_loss = lambda: loss

    X, y, _, _ = steps
    nan = float("nan")
    cases = (([1.0, 0.98], 2), ([1.0, 0.96], 3), ([0.0, 0.0], 2), ([nan, nan], 2))
    for losses, n_layers in cases:
        left = [Probe(loss) for loss in losses]
        monkeypatch.setattr(_encoding_choice, "probe", lambda *_, left=left, **__: left.pop(0))
        assert len(quick(encoding="auto").fit(X, y).coefs_) == n_layers


def test_probes_share_the_threshold_of_huber(steps, monkeypatch):
    seen = []
    original = _encoding_choice.probe

    def probe(training, *args, **kwargs):
        seen.append(training.loss_function.threshold)
        return original(training, *args, **kwargs)

    monkeypatch.setattr(_encoding_choice, "probe", probe)
    X, y, _, _ = steps
    quick(encoding="auto", loss="huber").fit(X, y)
    assert len(seen) == 2
    np.testing.assert_array_equal(*seen)
