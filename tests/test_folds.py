"""Places of rows: which are one, how evenly they lie, and what they do not depend on."""

import numpy as np
import pytest

from sklearn_sketchgn import _folds
from sklearn_sketchgn._folds import are_different, even_places
from sklearn_sketchgn._training_data import TrainingData

N_GROUPS = 20


@pytest.fixture
def grouped(rng):
    """Return 400 different rows in 20 groups of different sizes."""
    rows, targets = rng.standard_normal((400, 3)), rng.standard_normal((400, 1))
    codes = rng.permutation(np.concatenate([np.arange(N_GROUPS), rng.integers(0, 20, 380)]))
    return TrainingData(rows, targets, np.ones(400), codes)


def places(data, seed=0):
    return even_places(data, np.random.default_rng(seed))


def test_intervals_are_stratified_samples(grouped):
    grouped.groups = None
    place, n_distinct, n_apart = places(grouped)
    assert n_distinct == n_apart == 400
    for first in np.linspace(0, 0.8, 17):
        assert np.sum((place >= first) & (place < first + 0.2)) in range(77, 84)
    # Along the direction that they are ordered by, as even as each of its halves.
    direction = np.random.default_rng(0).standard_normal(4)
    score = np.hstack([grouped.rows, grouped.targets]) @ direction
    for half in (score < np.median(score), score >= np.median(score)):
        assert np.sum(place[half] < 0.2) in range(38, 43)


def test_a_group_has_one_place(grouped):
    place, n_distinct, n_apart = places(grouped)
    assert (n_distinct, n_apart) == (400, N_GROUPS)
    assert len(np.unique(place)) == N_GROUPS
    assert all(np.ptp(place[grouped.groups == group]) == 0 for group in range(N_GROUPS))
    assert len(np.unique(place[place < 0.2])) == 4


def test_groups_lie_in_the_order_of_their_means(grouped):
    direction = np.random.default_rng(0).standard_normal(4)
    score = np.hstack([grouped.rows, grouped.targets]) @ direction
    means = np.array([score[grouped.groups == group].mean() for group in range(N_GROUPS)])
    expected = (1 + np.argsort(np.argsort(means))) * 0.5 * (5**0.5 - 1) % 1
    np.testing.assert_allclose(places(grouped).place, expected[grouped.groups])


def test_groups_of_equal_means_are_different_ones(grouped):
    table = np.hstack([grouped.rows, grouped.targets])
    for group in range(N_GROUPS):
        table[grouped.groups == group] -= table[grouped.groups == group].mean(axis=0)
    for centred in (table, 0 * table):
        data = TrainingData(centred[:, :3], centred[:, 3:], np.ones(400), grouped.groups)
        place, _, n_apart = places(data)
        assert n_apart == len(np.unique(place)) == N_GROUPS


@pytest.mark.parametrize("limit", [100, 10_000])
def test_labels_may_be_any_and_some_may_be_missing(grouped, limit, monkeypatch):
    monkeypatch.setattr(_folds, "_SORTED_ROWS", limit)
    part = grouped.part(grouped.groups % 3 > 0)
    other = TrainingData(part.rows, part.targets, part.weights, 7 * part.groups - 20)
    place, _, n_apart = places(part)
    assert n_apart == len(np.unique(place)) == len(np.unique(part.groups)) < N_GROUPS
    np.testing.assert_array_equal(places(other).place, place)


def test_equal_inputs_are_a_cell_where_there_are_many(grouped):
    def repeated(n_cells, n_rows):
        rows = np.repeat(grouped.rows[:n_cells], n_rows, axis=0)
        targets = np.random.default_rng(1).standard_normal((len(rows), 1))
        return TrainingData(rows, targets, np.ones(len(rows)))

    def apart(data):
        found = even_places(data, np.random.default_rng(0), cells=True)
        assert found.n_distinct == len(data)
        assert len(np.unique(found.place)) == found.n_apart
        return found.n_apart

    assert apart(repeated(40, 8)) == 40
    assert apart(repeated(39, 8)) == 39 * 8  # of few cells the others tell little
    assert apart(repeated(40, 9)) == 360  # many rows of each cell
    assert places(repeated(40, 8)).n_apart == 320
    data = repeated(40, 4)
    place = even_places(data, np.random.default_rng(0), cells=True).place
    assert np.ptp(place.reshape(40, 4), axis=1).max() == 0
    data.groups = np.arange(160)  # the user knows better
    assert apart(data) == 160


def test_measurements_of_different_weights_are_one_cell(grouped, rng):
    weights = rng.uniform(0.5, 2.0, 160)
    root = np.sqrt(weights)[:, None]
    rows = np.repeat(grouped.rows[:40], 4, axis=0)
    data = TrainingData(root * rows, root * rng.standard_normal((160, 1)), weights)
    place = even_places(data, np.random.default_rng(0), cells=True).place
    assert np.ptp(place.reshape(40, 4), axis=1).max() == 0


def test_groups_of_one_row_are_rows(grouped):
    single = TrainingData(grouped.rows, grouped.targets, grouped.weights, np.arange(400)[::-1])
    none = TrainingData(grouped.rows, grouped.targets, grouped.weights)
    for found, expected in zip(places(single), places(none), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_weights_are_repetitions(grouped, rng):
    times = rng.integers(1, 4, 400)
    again = grouped.part(np.repeat(np.arange(400), times))
    root = np.sqrt(times)[:, None]
    weighted = TrainingData(
        root * grouped.rows, root * grouped.targets, times.astype(float), grouped.groups
    )
    assert places(weighted)[1:] == places(again)[1:] == (400, N_GROUPS)
    np.testing.assert_array_equal(np.repeat(places(weighted).place, times), places(again).place)
    weighted.groups = again.groups = None
    assert places(weighted)[1:] == places(again)[1:]
    assert places(again).n_apart == pytest.approx(times.sum() ** 2 / (times**2).sum())


@pytest.mark.parametrize("limit", [100, 10_000])
def test_rows_of_unequal_weight_count_as_fewer(grouped, limit, monkeypatch):
    monkeypatch.setattr(_folds, "_SORTED_ROWS", limit)
    grouped.groups = None
    grouped.weights = np.r_[np.ones(396), np.full(4, 33.0)]  # a quarter of the weight
    assert places(grouped).n_apart == pytest.approx(528**2 / (396 + 4 * 33**2))
    grouped.groups = np.arange(400) // 100
    assert places(grouped).n_apart == 4  # else a signal is taken for noise


def test_copies_of_one_row_are_not_different():
    assert not are_different(np.empty(0))
    assert not are_different(np.full(3, 0.25))
    assert are_different(np.array([0.25, 0.5]))


def test_a_large_table_is_not_sorted(grouped, monkeypatch):
    monkeypatch.setattr(_folds, "_SORTED_ROWS", 399)
    place, n_distinct, n_apart = places(grouped)
    assert (n_distinct, n_apart) == (400, N_GROUPS)
    assert all(np.ptp(place[grouped.groups == group]) == 0 for group in range(N_GROUPS))
    grouped.groups = None
    assert len(np.unique(places(grouped).place)) > 390
