"""What goes wrong in the middle of a fit: nothing is lost, hidden or left half done."""

import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from threadpoolctl import threadpool_limits

from sklearn_sketchgn import Direct, SketchGNRegressor, _members
from sklearn_sketchgn._conjugate_gradient import ConjugateGradientResult
from sklearn_sketchgn.solvers import SolveResult

quiet = pytest.mark.filterwarnings("ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning")
ROWS = load_diabetes(return_X_y=True)
N_STEPS = 10


def quick(**parameters):
    few = {"width": 4, "max_iter": N_STEPS, "tol": 0.0, "random_state": 0}
    return SketchGNRegressor(**{**few, **parameters})


class FailsAt(Direct):
    """Solves directly, but at one call of ``where`` raises ``fault`` or returns steps of it."""

    def __init__(self, call, fault, where="solve"):
        self.call, self.fault, self.where = call, fault, where
        self.calls = 0

    def __sklearn_clone__(self):
        return self

    def _due(self, where):
        self.calls += where == self.where
        return where == self.where and self.calls == self.call

    def prepare(self, jacobian, *, sketch=None, rng=None, previous=None):
        if self._due("prepare") and isinstance(self.fault, BaseException):
            raise self.fault
        return super().prepare(jacobian)

    def solve(self, state, rhs, ridge):
        result = super().solve(state, rhs, ridge)
        if not self._due("solve"):
            return result
        if isinstance(self.fault, BaseException):
            raise self.fault
        return SolveResult(self.fault * result.step)


def assert_unfitted(model):
    assert vars(model).keys() == model.get_params(deep=False).keys()
    with pytest.raises(NotFittedError, match="not fitted yet"):
        model.predict(ROWS[0])


# Interrupts and memory ----------------------------------------------------------------------------


@quiet
@pytest.mark.parametrize(
    ("batch_size", "where"), [(150, "prepare"), (150, "solve"), (None, "solve")]
)
@pytest.mark.parametrize("call", range(1, N_STEPS + 1))
def test_an_interrupt_at_any_step_leaves_what_was_learnt(call, batch_size, where):
    solver = FailsAt(call, KeyboardInterrupt("now"), where)
    model = quick(alpha=1.0, solver=solver, batch_size=batch_size)
    if call == 1:
        with pytest.raises(KeyboardInterrupt, match="now"):
            model.fit(*ROWS)
        assert_unfitted(model)
        return
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model.fit(*ROWS)
    assert model.n_iter_ == len(model.history_["events"]) == call - 1
    assert model.score(*ROWS) >= 0
    assert model.stop_reason_ == "the fit was interrupted"


@quiet
@pytest.mark.parametrize("call", [1, 40, 150])
def test_an_interrupt_while_alpha_is_chosen_leaves_the_former_fit(call):
    model = quick(alpha=1.0).fit(*ROWS)
    before = model.predict(ROWS[0])
    solver = FailsAt(call, KeyboardInterrupt("now"))
    model.set_params(alpha="auto", solver=solver, batch_size=None)
    with pytest.raises(KeyboardInterrupt, match="now"):
        model.fit(*ROWS)
    np.testing.assert_array_equal(model.predict(ROWS[0]), before)


@quiet
@pytest.mark.parametrize("batch_size", [150, None])
def test_memory_that_is_short_from_the_start_is_an_error_that_says_what_to_lower(batch_size):
    model = quick(alpha=1.0, solver=FailsAt(1, MemoryError(), "prepare"), batch_size=batch_size)
    message = r"49 parameters on (150|442) rows; lower `width`, or (lower|pass) `batch_size`"
    with pytest.raises(MemoryError, match=message):
        model.fit(*ROWS)
    assert_unfitted(model)


@pytest.mark.parametrize("call", [2, N_STEPS])
def test_memory_that_is_short_later_loses_no_work(call):
    model = quick(alpha=1.0, solver=FailsAt(call, MemoryError(), "prepare"), batch_size=150)
    with pytest.warns(ConvergenceWarning, match="more memory than there was.*lower `batch_size`"):
        model.fit(*ROWS)
    assert model.n_iter_ == call - 1
    assert model.score(*ROWS) >= 0


# Several members ---------------------------------------------------------------------------------


def members_until(call, fault):
    """Fit two members one after the other, of forty steps each, with a fault at one solve."""
    solver = FailsAt(call, fault)
    return quick(alpha=1.0, solver=solver, batch_size=150, max_iter=40, n_members=2).fit(*ROWS)


@pytest.mark.parametrize(("call", "steps"), [(15, [14]), (41, [40]), (55, [40, 14])])
def test_an_interrupt_of_any_member_ends_all_and_is_told(call, steps):
    with pytest.warns(ConvergenceWarning, match="it was interrupted"):
        model = members_until(call, KeyboardInterrupt())
    assert [len(member["history"]["alpha"]) for member in model.members_] == steps
    assert model.stop_reason_ == "the fit was interrupted"
    assert len(model.intercepts_[0]) == 4 * len(steps)
    assert model.score(*ROWS) > 0


@pytest.mark.parametrize(("call", "steps"), [(15, [14, 40]), (55, [40, 14])])
def test_a_member_that_lacked_memory_is_told(call, steps):
    with pytest.warns(ConvergenceWarning, match="more memory than there was"):
        model = members_until(call, MemoryError())
    assert [len(member["history"]["alpha"]) for member in model.members_] == steps


def test_an_interrupt_ends_the_threads_of_all_members():
    code = """
import itertools, signal, threading, warnings
from sklearn.datasets import load_diabetes
from sklearn_sketchgn import Direct, SketchGNRegressor

class Interrupting(Direct):
    members, solves = set(), itertools.count()

    def solve(self, *args):
        self.members.add(threading.get_ident())
        if len(self.members) == 2 and next(self.solves) == 50:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        return super().solve(*args)

warnings.simplefilter("ignore")
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what runs in the background
model = SketchGNRegressor(8, max_iter=10**7, n_members=2, n_jobs=2, alpha=1.0, random_state=0)
model.set_params(solver=Interrupting()).fit(*load_diabetes(return_X_y=True))
print(model.stop_reason_, len(model.members_), threading.active_count(), sep=", ")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "the fit was interrupted, 2, 1\n"


def test_an_interrupt_before_the_threads_have_started_is_handed_on(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt("early")

    told = []
    monkeypatch.setattr(_members.ThreadPoolExecutor, "submit", interrupted)
    starts = [(), ()]
    assert _members.run_members(list, starts, n_jobs=2, on_interrupt=lambda: told.append(1)) == []
    assert told == [1]
    with pytest.raises(KeyboardInterrupt, match="early"):
        _members.run_members(list, starts, n_jobs=2)
    model = quick(n_members=2, n_jobs=2)
    with pytest.raises(KeyboardInterrupt, match="^$"):
        model.fit(*ROWS)
    assert_unfitted(model)


# A user's solver ----------------------------------------------------------------------------------


class Answers(Direct):
    """Answers whatever it was given for every system."""

    def __init__(self, answer=None):
        self.answer = answer

    def solve(self, state, rhs, ridge):
        return self.answer


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (None, "NoneType, no SolveResult with a step"),
        (np.ones(49), "ndarray, no SolveResult with a step"),
        (SolveResult(np.ones(3)), r"a step of shape \(3,\) and dtype float64"),
        (SolveResult(49 * [1.0]), "a step that is a list"),
        (SolveResult(np.ma.masked_array(np.ones(49))), "a step that is a MaskedArray"),
        (SolveResult(np.ones(49, complex)), r"a step of shape \(49,\) and dtype complex128"),
    ],
)
@pytest.mark.parametrize("batch_size", [150, None])
def test_an_answer_that_is_no_step_is_an_error_that_names_the_solver(answer, found, batch_size):
    model = quick(alpha=1.0, solver=Answers(answer), batch_size=batch_size)
    with pytest.raises(
        ValueError, match=rf"(?s)Answers\(.*solve returned {found}; expected.*\(49,\)"
    ):
        model.fit(*ROWS)
    assert_unfitted(model)


class Wide(Direct):
    """Forgets to return steps in the Jacobian's dtype."""

    def prepare(self, jacobian, *, sketch, rng, previous=None):
        assert jacobian.dtype == np.float32
        return super().prepare(jacobian)

    def solve(self, state, rhs, ridge):
        assert rhs.dtype == np.float32
        result = super().solve(state, rhs, ridge)
        return replace(result, step=result.step.astype(np.float64))


def test_steps_of_a_larger_dtype_change_nothing():
    model = quick(alpha=1.0, solver=Wide(), batch_size=150).fit(*ROWS)
    expected = quick(alpha=1.0, solver="direct", batch_size=150).fit(*ROWS)
    np.testing.assert_array_equal(model.predict(ROWS[0]), expected.predict(ROWS[0]))


@pytest.mark.parametrize("where", ["prepare", "solve"])
def test_a_solver_that_raises_costs_one_step(where):
    solver = FailsAt(3, np.linalg.LinAlgError("Singular matrix"), where)
    model = quick(alpha=1.0, solver=solver, batch_size=150)
    with pytest.warns(ConvergenceWarning, match=f"did not converge in 1 of {N_STEPS} steps"):
        model.fit(*ROWS)
    events = model.history_["events"]
    assert events[2] == "step skipped, not converged: LinAlgError: Singular matrix"
    assert not any(events[:2] + events[3:])
    assert model.history_["step_norm"][2] == 0.0
    assert model.score(*ROWS) > 0


@pytest.mark.parametrize("where", ["prepare", "solve"])
def test_a_solver_that_raises_on_all_rows_costs_one_step(where):
    solver = FailsAt(3, np.linalg.LinAlgError("Singular matrix"), where)
    model = quick(alpha=1.0, solver=solver, batch_size=None)
    with pytest.warns(ConvergenceWarning, match="did not converge in 1 of "):
        model.fit(*ROWS)
    events = model.history_["events"]
    assert events[2] == "rejected, not converged: LinAlgError: Singular matrix"
    assert events[3] == ""
    assert model.score(*ROWS) > 0


def test_a_solver_without_previous_fails_at_the_first_step():
    class Short(Direct):
        def prepare(self, jacobian, *, sketch, rng):
            return super().prepare(jacobian)

    model = quick(alpha=1.0, solver=Short(), batch_size=150)
    with pytest.raises(TypeError, match="unexpected keyword argument 'previous'"):
        model.fit(*ROWS)
    assert_unfitted(model)


@pytest.mark.parametrize(
    "message", ["rejected", "2 rounds; step skipped", "kept; truncated: by qr", "not converged"]
)
def test_the_words_of_a_solver_are_not_taken_for_what_happened(message):
    class Talks(Direct):
        def solve(self, state, rhs, ridge):
            return replace(super().solve(state, rhs, ridge), message=message)

    model = quick(alpha=1.0, solver=Talks()).fit(*ROWS)
    assert set(model.history_["events"]) == {message}


def test_a_solver_that_never_gives_a_finite_step_is_told_of():
    solver = Answers(SolveResult(np.full(49, np.nan)))
    with pytest.warns(ConvergenceWarning, match="none of its 10 steps could be taken"):
        quick(alpha=1.0, solver=solver, batch_size=150).fit(*ROWS)


def test_nan_that_nobody_looked_for_is_no_fitted_estimator():
    X, y = ROWS
    X = np.where(np.arange(len(X)) == 3, np.nan, X.T).T
    model = quick()
    with (
        config_context(assume_finite=True),
        pytest.raises(ValueError, match="weights that are NaN"),
    ):
        model.fit(X, y)
    assert_unfitted(model)


# Numerical breakdowns -----------------------------------------------------------------------------


@quiet
@pytest.mark.parametrize("fault", [np.nan, np.inf, 1e200, -1e200])
@pytest.mark.parametrize("batch_size", [150, 500, None])
@pytest.mark.parametrize("call", [1, 4, N_STEPS])
def test_a_step_that_overflows_is_given_up_and_counted(call, batch_size, fault):
    solver = FailsAt(call, fault)
    model = quick(alpha=1.0, solver=solver, batch_size=batch_size).fit(*ROWS)
    events = model.history_["events"]
    given_up = [i for i, event in enumerate(events) if event in ("step skipped", "rejected")]
    assert call - 1 in given_up
    assert model.history_["step_norm"][call - 1] == 0.0
    assert model.score(*ROWS) >= 0


def test_a_step_without_damping_that_is_not_finite_ends_the_fit():
    model = quick(alpha=1.0, solver=FailsAt(4, np.nan), batch_size=None, damping=0)
    with pytest.warns(ConvergenceWarning, match="it diverged and ended before"):
        model.fit(*ROWS)
    assert model.stop_reason_ == "a step without adaptive damping gave values that are not finite"
    assert model.history_["events"] == ["", "", "", "rejected"]
    assert model.score(*ROWS) > 0


@pytest.mark.parametrize("batch_size", [150, None])
def test_singular_systems_are_recovered_and_counted(batch_size, monkeypatch):
    def failing(matrix, **keywords):
        return matrix, 1

    expected = quick(alpha=1.0, batch_size=batch_size, solver="direct")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected.fit(*ROWS)
    routines = "sklearn_sketchgn.solvers._direct.get_lapack_funcs"
    monkeypatch.setattr(routines, lambda names, _: [failing] * len(names))
    model = clone(expected)
    with pytest.warns(ConvergenceWarning, match=f"{N_STEPS} of {N_STEPS} linear systems were sing"):
        model.fit(*ROWS)
    assert set(model.history_["events"]) == {"truncated: cholesky failed"}
    np.testing.assert_allclose(model.predict(ROWS[0]), expected.predict(ROWS[0]), rtol=1e-2)


@pytest.mark.parametrize("batch_size", [150, None])
def test_breakdowns_of_conjugate_gradient_are_counted(batch_size, monkeypatch):
    def broken(product, right, precondition, **keywords):
        return ConjugateGradientResult(np.zeros_like(right), False, 1, 1.0)

    monkeypatch.setattr("sklearn_sketchgn.solvers._cg.conjugate_gradient", broken)
    model = quick(alpha=1.0, batch_size=batch_size, solver="cg")
    with pytest.warns(ConvergenceWarning, match="`solver` did not converge in"):
        model.fit(*ROWS)
    assert all("not converged" in event for event in model.history_["events"])
    assert model.score(*ROWS) >= 0


@pytest.mark.parametrize("message", ["", None, "stopped early"])
def test_a_solver_of_the_users_that_has_not_converged_is_told_of(message):
    class Early(Direct):
        def solve(self, state, rhs, ridge):
            result = super().solve(state, rhs, ridge)
            return replace(result, converged=False, message=message)

    model = quick(alpha=1.0, solver=Early())
    with pytest.warns(ConvergenceWarning, match=f"`solver` did not converge in {N_STEPS} of"):
        model.fit(*ROWS)
    expected = f"not converged: {message}" if message else "not converged"
    assert set(model.history_["events"]) == {expected}


def test_a_breakdown_without_ridge_is_solved_directly(monkeypatch):
    def broken(product, right, precondition, **keywords):
        return ConjugateGradientResult(np.zeros_like(right), False, 1, 1.0)

    X, y = ROWS[0][:60], ROWS[1][:60]
    # A first fit to be continued keeps a step that raises the error, as undamped ones may.
    common = {"alpha": 0.0, "damping": 0.0, "batch_size": None, "max_iter": 1, "warm_start": True}
    with pytest.warns(ConvergenceWarning, match="1 of 1 linear systems were singular"):
        expected = quick(**common, solver="direct").fit(X, y)
    monkeypatch.setattr("sklearn_sketchgn.solvers._cg.conjugate_gradient", broken)
    with pytest.warns(ConvergenceWarning, match="1 of 1 linear systems were singular"):
        model = quick(**common, solver="cg").fit(X, y)
    np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-6)


# Concurrent fits ----------------------------------------------------------------------------------


def fitted(seed, batch_size):
    # Sums are rounded in another order by another number of threads, and joblib's processes have
    # fewer of them.
    with threadpool_limits(1):
        model = quick(random_state=seed, batch_size=batch_size, solver="cg").fit(*ROWS)
    return model.predict(ROWS[0])


@quiet
@pytest.mark.parametrize("batch_size", [150, 500])
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_eight_concurrent_fits_equal_the_serial_ones(backend, batch_size):
    serial = [fitted(seed, batch_size) for seed in range(8)]
    n_jobs = 8 if backend == "threading" else 2
    jobs = (delayed(fitted)(seed, batch_size) for seed in range(8))
    concurrent = Parallel(n_jobs=n_jobs, backend=backend)(jobs)
    for one, other in zip(serial, concurrent, strict=True):
        np.testing.assert_array_equal(one, other)
