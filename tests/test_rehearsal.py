"""The short repetition of a fit that shows what errors are on rows it has not seen."""

from types import SimpleNamespace

import numpy as np
import pytest

from sklearn_sketchgn import Direct, _rehearsal
from sklearn_sketchgn._groups import separate
from sklearn_sketchgn._network import initialise
from sklearn_sketchgn._training import Training
from sklearn_sketchgn._training_data import TrainingData

N_STEPS = 40


def fitted(rng, n_outcomes=1, n_groups=1):
    """Return data and outcomes of fits that are said to have taken forty steps."""
    rows = np.column_stack([rng.standard_normal((60, 3)), np.ones(60)])
    data = TrainingData(rows, np.sin(rows[:, :1]), np.ones(60))
    outcomes = []
    for _ in range(n_outcomes):
        start = initialise(8, 4, 1, rng)
        training = Training(
            network=start.with_parameters(rng.standard_normal(start.n_parameters)),
            alpha=0.1,
            damping=1e-6,  # where the adaptive rule left it
            momentum=0.9,
            solver=Direct(),
            sketch=None,
            rng=rng,
            total_weight=60.0,
            output_scale=np.ones(1),
        )
        training.history["damping"] = [0.04] * N_STEPS
        training.history["flips"] = [np.nan] * N_STEPS
        outcomes.append(SimpleNamespace(training=training, n_groups=n_groups))
    return data, outcomes


def rehearsed(data, outcomes, held_out, batch_size=60):
    return _rehearsal.rehearse(
        outcomes,
        data,
        held_out,
        batch_size=batch_size,
        rng=np.random.default_rng(0),
        n_jobs=None,
    )


@pytest.mark.parametrize("batch_size", [60, None])
def test_held_out_rows_have_no_influence(batch_size, rng):
    data, outcomes = fitted(rng)
    held_out = np.arange(60) % 5 == 0
    expected = rehearsed(data, outcomes, held_out, batch_size)
    data.targets[held_out] += 1e3
    np.testing.assert_array_equal(rehearsed(data, outcomes, held_out, batch_size), expected)
    data.targets[~held_out] += 1e3
    assert np.abs(rehearsed(data, outcomes, held_out, batch_size) - expected).min() > 1


def fresh_start(shape, rng):
    """Return a fresh network of the shape of another, drawn from a group's generator."""
    return initialise(len(shape.hidden), 4, 1, rng)


def test_it_starts_with_the_growth_of_the_damping_of_a_new_fit(rng, monkeypatch):
    growths = []
    monkeypatch.setattr(
        _rehearsal, "run_all_rows", lambda training, *_, **__: growths.append(training.growth)
    )
    data, outcomes = fitted(rng)
    outcomes[0].training.growth = 2.0**20
    rehearsed(data, outcomes, np.arange(60) < 12, batch_size=None)
    assert growths == [2.0]


def test_it_starts_between_the_fit_and_fresh_weights_and_is_short(rng, monkeypatch):
    starts = []

    def run(trainings, tables, *, n_steps, **_):
        (training,) = trainings
        starts.append((training.network.parameters().copy(), training.damping, n_steps))

    monkeypatch.setattr(_rehearsal, "run_groups", run)
    data, outcomes = fitted(rng)
    rehearsed(data, outcomes, np.arange(60) < 12)
    ((parameters, damping, n_steps),) = starts
    final = outcomes[0].training.network
    member_rng = np.random.default_rng(0).spawn(1)[0]
    fresh = fresh_start(final, member_rng.spawn(1)[0])
    np.testing.assert_allclose(parameters, 0.4 * final.parameters() + 0.6 * fresh.parameters())
    assert damping == 0.04
    assert n_steps == 6


def test_it_does_not_know_which_columns_matter(rng, monkeypatch):
    penalties = []

    def run(trainings, *_, **__):
        penalties.extend(training.column_penalty for training in trainings)

    monkeypatch.setattr(_rehearsal, "run_groups", run)
    data, outcomes = fitted(rng)
    learnt = outcomes[0].training.column_penalty = np.array([0.1, 5.0, 5.0, 1.0])
    rehearsed(data, outcomes, np.arange(60) < 12)
    assert penalties == [None]
    assert outcomes[0].training.column_penalty is learnt


@pytest.mark.parametrize(("last", "rehearsed_at"), [(0.003, 0.003), (0.6, 0.04)])
def test_it_is_damped_as_the_batches_were_in_the_end_but_not_more(
    last, rehearsed_at, rng, monkeypatch
):
    found = []
    monkeypatch.setattr(_rehearsal, "run_groups", lambda parts, *_, **__: found.extend(parts))
    data, outcomes = fitted(rng)
    history = outcomes[0].training.history
    history["damping"][20:] = [last] * (N_STEPS - 25) + [1e-6] * 5
    history["flips"][-5:] = [0.1] * 5  # on all rows
    rehearsed(data, outcomes, np.arange(60) < 12)
    assert [part.damping for part in found] == [rehearsed_at]


def test_groups_and_members_are_averaged(rng, monkeypatch):
    tables = []
    monkeypatch.setattr(_rehearsal, "run_groups", lambda _, kept, **__: tables.append(kept))
    data, outcomes = fitted(rng, n_outcomes=3, n_groups=2)
    held_out = np.arange(60) < 12
    # Members draw from the generators that the first is spawned from, in order, and so do groups.
    generators = np.random.default_rng(0).spawn(3)
    expected = np.zeros((60, 1))
    for outcome, member_rng in zip(outcomes, generators, strict=True):
        groups = separate(outcome.training.network, 2)
        for group, group_rng in zip(groups, member_rng.spawn(2), strict=True):
            fresh = fresh_start(group, group_rng)
            start = 0.4 * group.parameters() + 0.6 * fresh.parameters()
            expected += group.with_parameters(start).evaluate(data.rows) / 6
    np.testing.assert_allclose(rehearsed(data, outcomes, held_out), expected, atol=1e-12)
    assert np.abs(expected).max() > 0.1
    assert [[len(kept) for kept in groups] for groups in tables] == [[48, 48]] * 3


def test_about_a_fifth_of_the_distinct_rows_is_held_out(rng):
    data, _ = fitted(rng)
    held_out = _rehearsal.held_out_rows(data, rng)
    assert 11 <= held_out.sum() <= 13
    twice = data.take(np.repeat(np.arange(60), 2))
    held_out = _rehearsal.held_out_rows(twice, rng)
    np.testing.assert_array_equal(held_out[::2], held_out[1::2])


@pytest.mark.parametrize(("n_groups", "expected"), [(2, 1), (4, 1), (30, 5), (1, 1)])
def test_about_a_fifth_of_the_groups_is_held_out(n_groups, expected, rng):
    data, _ = fitted(rng)
    data.groups = np.arange(60) % n_groups
    held_out = _rehearsal.held_out_rows(data, rng)
    assert len(np.unique(data.groups[held_out])) == expected
    assert not np.intersect1d(data.groups[held_out], data.groups[~held_out]).size
