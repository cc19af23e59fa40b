"""Pickles of this release load after an upgrade, or say why they do not.

    python -m tests.test_pickles    # writes tests/data anew, for a new format of the state

The stored pickle was written by protocol 2, in which the names of numpy's modules are plain text,
with the name that both numpy 1 and numpy 2 know.
"""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import sklearn_sketchgn
from sklearn_sketchgn import CG, SRHT, SketchGNRegressor
from sklearn_sketchgn._pickling import STATE_FORMAT

DATA = Path(__file__).parent / "data"
FORMATS = sorted(path.stem for path in DATA.glob("*.pkl"))


def table():
    """A table without random numbers, the same in every release of numpy."""
    grid = np.linspace(-1, 1, 30)
    X = np.column_stack([np.sin(3 * grid), grid**2, 1e3 + 5 * np.cos(7 * grid)])
    return X, np.column_stack([np.exp(grid), X[:, 0] * X[:, 1]])


def model():
    return SketchGNRegressor(
        width=6, max_iter=10, alpha=0.1, sketch=SRHT(), solver=CG(oversampling=3.0), random_state=0
    )


def write():
    """Store a fitted model and what it predicts, under the number of the format."""
    fitted = model().fit(*table())
    stored = pickle.dumps(fitted, protocol=2).replace(b"numpy._core.", b"numpy.core.")
    (DATA / f"format-{STATE_FORMAT}.pkl").write_bytes(stored)
    predicted = {"predictions": fitted.predict(table()[0]).tolist()}
    text = json.dumps(predicted, indent=1)
    (DATA / f"format-{STATE_FORMAT}.json").write_text(text + "\n", encoding="utf-8")


def test_the_present_format_is_stored():
    assert f"format-{STATE_FORMAT}" in FORMATS


@pytest.mark.parametrize("name", FORMATS)
def test_a_stored_pickle_predicts_what_it_did(name):
    loaded = pickle.loads((DATA / f"{name}.pkl").read_bytes())
    expected = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))["predictions"]
    X, y = table()
    np.testing.assert_allclose(loaded.predict(X), expected, rtol=1e-12)
    assert loaded.get_params()["solver__oversampling"] == 3.0
    assert loaded.get_params().keys() == SketchGNRegressor(solver=CG()).get_params().keys()
    assert len(loaded.history_["objective"]) == loaded.n_iter_ == 10
    np.testing.assert_allclose(loaded.fit(X, y).predict(X), model().fit(X, y).predict(X))
    exported = loaded.to_mlp_regressor()
    np.testing.assert_allclose(exported.predict(X), loaded.predict(X), rtol=1e-12)


def test_the_stamp_is_in_the_pickle_and_not_in_the_estimator():
    fitted = model().fit(*table())
    state = fitted.__getstate__()
    assert state["_sklearn_sketchgn"] == {
        "version": sklearn_sketchgn.__version__,
        "format": STATE_FORMAT,
    }
    for again in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        assert vars(again).keys() == vars(fitted).keys() - {"_resume"}
        np.testing.assert_array_equal(again.predict(table()[0]), fitted.predict(table()[0]))


def test_a_pickle_of_a_later_format_says_what_to_install(monkeypatch):
    monkeypatch.setattr("sklearn_sketchgn._pickling.STATE_FORMAT", STATE_FORMAT + 1)
    monkeypatch.setattr("sklearn_sketchgn.__version__", "9.8.7")
    later = pickle.dumps(model().fit(*table()))
    monkeypatch.undo()
    message = rf"pickled by sklearn_sketchgn 9\.8\.7 .format {STATE_FORMAT + 1}.*>=9\.8\.7, or fit"
    with pytest.raises(ValueError, match=message):
        pickle.loads(later)


if __name__ == "__main__":
    write()
