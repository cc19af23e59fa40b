"""The network: initialisation, evaluation, linearisation."""

import numpy as np
import pytest

from sklearn_sketchgn._network import Network, initialise, initialise_paper
from tests import cases, references


def network(shape, rng, *, train_output=True, dtype=np.float64):
    rows, hidden, output = cases.network_arrays(cases.ordinary_table, shape, rng, dtype=dtype)
    rows *= np.sqrt(rng.uniform(0.1, 3.0, size=(len(rows), 1))).astype(dtype)  # weights
    intercept = rng.standard_normal(shape.n_outputs).astype(dtype)
    return rows, Network(hidden, output, intercept, train_output)


@pytest.mark.parametrize("train_output", [True, False])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_evaluation_and_linearisation(train_output, n_outputs, dtype, rng):
    shape = cases.Shape(200, 4, 7, n_outputs)
    rows, model = network(shape, rng, train_output=train_output, dtype=dtype)
    expected = references.forward(
        rows, model.hidden, model.output, model.intercept if train_output else None
    )
    tolerance = 100 * np.finfo(dtype).eps
    values = model.evaluate(rows)
    assert values.dtype == dtype
    np.testing.assert_allclose(values, expected, rtol=tolerance, atol=tolerance)
    targets = rng.standard_normal(values.shape).astype(dtype)
    jacobian, residual = model.linearise(rows, targets)
    assert residual.dtype == jacobian.dtype == dtype
    np.testing.assert_allclose(
        residual, (expected - targets).T.ravel(), rtol=tolerance, atol=10 * tolerance
    )
    dense = references.jacobian(rows, model.hidden, model.output, train_output=train_output)
    v = rng.standard_normal(model.n_parameters).astype(dtype)
    np.testing.assert_allclose(jacobian.matvec(v), dense @ v, atol=1000 * tolerance)


def test_a_mask_too_large_to_store_is_recomputed(monkeypatch, rng):
    rows, model = network(cases.Shape(200, 4, 7, 2), rng)
    targets = np.zeros((200, 2))
    stored, residual = model.linearise(rows, targets)
    monkeypatch.setattr("sklearn_sketchgn._network._MASK_ELEMENTS", 10)
    recomputed, again = model.linearise(rows, targets)
    assert recomputed._stored_mask is None
    np.testing.assert_allclose(again, residual, atol=1e-13)
    np.testing.assert_allclose(recomputed.gram(), stored.gram(), atol=1e-11)


def test_a_wide_network_may_store_a_mask_twice_as_large(monkeypatch, rng):
    monkeypatch.setattr("sklearn_sketchgn._network._MASK_ELEMENTS", 600)
    for n_samples, n_features, width, stored in [
        (30, 4, 40, True),
        (31, 4, 40, False),
        (300, 1, 2, True),
        (301, 1, 2, False),
    ]:
        rows, model = network(cases.Shape(n_samples, n_features, width, 1), rng)
        jacobian, _ = model.linearise(rows, 0.0)
        assert (jacobian._stored_mask is not None) == stored


def test_the_activations_of_a_batch_are_kept_for_its_gram_matrix(monkeypatch, rng):
    rows, model = network(cases.Shape(20, 4, 7, 2), rng)
    kept, _ = model.linearise(rows, 0.0)
    np.testing.assert_allclose(kept._stored_activations, np.maximum(rows @ model.hidden.T, 0))
    monkeypatch.setattr("sklearn_sketchgn._network.BLOCK_ELEMENTS", 139)
    made_anew, _ = model.linearise(rows, 0.0)
    assert made_anew._stored_activations is None
    np.testing.assert_allclose(made_anew.gram(), kept.gram(), atol=1e-13)


@pytest.mark.parametrize("train_output", [True, False])
def test_parameters_make_the_round_trip(train_output, rng):
    _, model = network(cases.Shape(5, 4, 7, 2), rng, train_output=train_output)
    vector = model.parameters()
    assert vector.shape == (model.n_parameters,)
    again = model.with_parameters(vector)
    for name in ("hidden", "output", "intercept"):
        np.testing.assert_array_equal(getattr(again, name), getattr(model, name))
    vector[...] = 0
    assert model.hidden.any()  # a copy
    moved = model.with_parameters(model.parameters() + 1)
    assert (moved.hidden == model.hidden + 1).all()
    assert (moved.output == model.output + train_output).all()


def test_all_but_the_output_intercept_is_penalised(rng):
    _, model = network(cases.Shape(5, 4, 7, 2), rng)
    mask = model.penalised()
    np.testing.assert_array_equal(mask[-2:], 0)
    assert mask[:-2].all()
    _, paper = network(cases.Shape(5, 4, 7, 2), rng, train_output=False)
    assert paper.penalised().all()


@pytest.mark.parametrize("width", [1, 2, 3, 8, 51])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_initial_network_is_small_balanced_and_zero(width, n_outputs, rng):
    model = initialise(width, 5, n_outputs, rng)
    scale = 0.3 * width**-0.25
    assert model.hidden.shape == (width, 5)
    assert model.output.shape == (width, n_outputs)
    np.testing.assert_allclose(np.linalg.norm(model.hidden, axis=1), scale)
    paired = width - width % 2
    np.testing.assert_allclose(np.abs(model.output[:paired]), scale)
    np.testing.assert_array_equal(model.output[paired:], 0)
    rows = rng.standard_normal((20, 5))
    np.testing.assert_allclose(model.evaluate(rows), 0, atol=1e-15)
    if n_outputs > 1 and width > 40:
        assert not np.array_equal(model.output[:, 0], model.output[:, 1])


def test_initial_network_of_the_paper(rng):
    model = initialise_paper(400, 5, 2, rng)
    assert not model.train_output
    np.testing.assert_allclose(np.abs(model.output), 400**-0.5)
    # Six deviations of the mean and variance of 2000 standard normal numbers.
    assert abs(model.hidden.mean()) < 6 / 2000**0.5
    assert abs(model.hidden.var() - 1) < 6 * (2 / 2000) ** 0.5
    np.testing.assert_array_equal(model.intercept, 0)


@pytest.mark.parametrize("make", [initialise, initialise_paper])
def test_initial_weights_come_from_the_generator_only(make):
    first, second, third = (make(6, 3, 2, np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.hidden, second.hidden)
    np.testing.assert_array_equal(first.output, second.output)
    assert not np.array_equal(first.hidden, third.hidden)


def test_astype(rng):
    model = initialise(6, 3, 2, rng).astype(np.float32)
    assert model.hidden.dtype == model.output.dtype == model.intercept.dtype == np.float32
    assert initialise_paper(6, 3, 2, rng).astype(np.float32).train_output is False
