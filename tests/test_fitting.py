"""From validated tables to trained members."""

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_sketchgn import SketchGNRegressor, _fitting

pytestmark = pytest.mark.filterwarnings(
    "ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning"
)


def test_the_batch_size_that_is_taken(wave):
    X, y = wave
    quick = SketchGNRegressor(max_iter=2, width=32, random_state=0, warm_start=True)
    assert quick.fit(X, y).batch_size_ == 128
    assert quick.fit(X, y).batch_size_ == 256  # goes on as one network
    assert clone(quick).fit(X[:256], y[:256]).batch_size_ == 256
    assert clone(quick).set_params(alpha=1.0).fit(X, y).batch_size_ == 256
    assert clone(quick).set_params(width=31).fit(X, y).batch_size_ == 256
    assert clone(quick).set_params(batch_size=100).fit(X, y).batch_size_ == 100


@pytest.mark.parametrize("n_members", [1, 3])
def test_the_first_networks_depend_on_the_seed_and_the_shape_only(n_members, wave, monkeypatch):
    X, y = wave
    drawn = []

    def noted(*args, **parameters):
        drawn.append(initialise(*args, **parameters))
        return drawn[-1]

    initialise = _fitting.initialise
    monkeypatch.setattr(_fitting, "initialise", noted)
    model = SketchGNRegressor(max_iter=2, width=8, n_members=n_members, random_state=3)
    model.fit(X, y)
    clone(model).set_params(alpha=1.0, solver="cg", batch_size=None).fit(X[:20], 9 * y[:20])
    first, second = drawn[:n_members], drawn[n_members:]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.hidden, other.hidden)
        np.testing.assert_array_equal(one.output, other.output)
    assert len({network.hidden.tobytes() for network in first}) == n_members


def test_networks_too_large_for_memory_are_an_error_that_says_what_to_lower(wave, monkeypatch):
    def short_of_memory(*_, **__):
        raise MemoryError

    monkeypatch.setattr(_fitting, "initialise", short_of_memory)
    with pytest.raises(MemoryError, match=r"2 network\(s\) of 99 neurons; lower `width` or"):
        SketchGNRegressor(99, n_members=2).fit(*wave)
