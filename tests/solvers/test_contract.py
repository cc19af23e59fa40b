"""What is promised of every solver, and of a solver that a user writes."""

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_sketchgn import CG, CountSketch, Direct, Gaussian, solvers
from sklearn_sketchgn._jacobian import Jacobian
from sklearn_sketchgn.sketches import Sketch
from sklearn_sketchgn.solvers import Solver, SolveResult
from sklearn_sketchgn.solvers._cg import _CGState
from tests import cases, references


class DenseSingularValues(Solver):
    """A third party's solver, after the docstring of `Solver`: forms J row by row."""

    def __init__(self, cut=1e-8):
        self.cut = cut

    def prepare(self, jacobian, *, sketch, rng, previous=None):
        rows = np.array([jacobian.rmatvec(e) for e in np.eye(jacobian.shape[0])])
        return np.linalg.svd(rows, full_matrices=False)

    def solve(self, state, rhs, ridge):
        left, values, right = state
        kept = values > self.cut * values.max()
        factors = np.divide(values, values**2 + ridge, where=kept, out=np.zeros_like(values))
        return SolveResult(right.T @ (factors * (left.T @ rhs)))


EVERY_SOLVER = [*cases.SOLVERS, DenseSingularValues()]

every_solver = pytest.mark.parametrize("solver", EVERY_SOLVER, ids=repr)
every_shape = pytest.mark.parametrize("shape", cases.SHAPES, ids=str)
every_table = pytest.mark.parametrize("table", cases.TABLES, ids=lambda table: table.__name__)
every_sketch = pytest.mark.parametrize("sketch", cases.SUBSPACE_SKETCHES, ids=repr)
output_trained_or_not = pytest.mark.parametrize("train_output", [True, False])


@dataclass
class Problem:
    jacobian: Jacobian
    dense: np.ndarray
    rhs: np.ndarray
    eigenvalues: np.ndarray  # of J J' or J'J, whichever is smaller

    def condition(self, ridge):
        return (self.eigenvalues.max() + ridge) / (self.eigenvalues.min() + ridge)

    def ridge_for(self, condition):
        """Return the ridge that gives this condition number, if the matrix alone has a larger."""
        most, least = self.eigenvalues.max(), self.eigenvalues.min()
        return max((most - condition * least) / (condition - 1), 1e-300)


def problem(table, shape, rng, *, train_output=True, antisymmetric=False):
    arrays = cases.network_arrays(table, shape, rng, antisymmetric=antisymmetric)
    dense = references.jacobian(*arrays, train_output=train_output)
    singular_values = np.zeros(min(dense.shape))
    found = np.linalg.svd(dense, compute_uv=False)
    singular_values[: len(found)] = found
    return Problem(
        Jacobian(*arrays, train_output=train_output),
        dense,
        rng.standard_normal(len(dense)),
        singular_values**2,
    )


def solve(solver, problem, ridge, rng, *, sketch=None, rhs=None):
    state = solver.prepare(problem.jacobian, sketch=sketch or Gaussian(), rng=rng)
    return solver.solve(state, problem.rhs if rhs is None else rhs, ridge)


def assert_close_in_norm(actual, expected, tolerance):
    assert np.linalg.norm(actual - expected) <= tolerance * np.linalg.norm(expected)


def test_every_public_solver_is_a_case():
    public = {getattr(solvers, name) for name in solvers.__all__ if name != "SOLVERS"}
    strategies = {member for member in public if issubclass(member, Solver)} - {Solver}
    assert {type(solver) for solver in cases.SOLVERS} == strategies
    assert set(solvers.SOLVERS.values()) == strategies


@every_solver
def test_strategy_is_cloneable_and_keeps_no_state(solver, rng):
    before = dict(vars(solver))
    solve(solver, problem(cases.ordinary_table, cases.SHAPES[0], rng), 0.1, rng)
    assert vars(solver) == before
    assert "random_state" not in solver.get_params()
    copy = clone(solver)
    assert type(copy) is type(solver)
    assert copy.get_params() == solver.get_params()


@every_solver
@every_shape
@every_table
@pytest.mark.parametrize("condition", [1e2, 1e6])
def test_dense_solution(solver, shape, table, condition, rng):
    system = problem(table, shape, rng)
    ridge = system.ridge_for(condition)
    assert system.condition(ridge) <= 1.001 * condition
    result = solve(solver, system, ridge, rng)
    expected = references.damped_least_squares(system.dense, system.rhs, ridge)
    assert result.converged
    assert result.step.shape == (system.jacobian.shape[1],)
    assert result.step.dtype == np.float64
    assert_close_in_norm(result.step, expected, 1e-8)


@every_solver
@every_shape
@pytest.mark.parametrize("table", [cases.ordinary_table, cases.duplicated_table])
@output_trained_or_not
def test_dense_solution_of_antisymmetric_pairs(solver, shape, table, train_output, rng):
    system = problem(table, shape, rng, train_output=train_output, antisymmetric=True)
    ridge = system.ridge_for(1e5)
    result = solve(solver, system, ridge, rng)
    expected = references.damped_least_squares(system.dense, system.rhs, ridge)
    assert_close_in_norm(result.step, expected, 1e-8)


@every_solver
@every_shape
@every_table
def test_ill_conditioned_systems_agree_in_residual_and_norm(solver, shape, table, rng):
    system = problem(table, shape, rng)
    ridge = 1e-10 * system.eigenvalues.max()
    condition = system.condition(ridge)
    step = solve(solver, system, ridge, rng).step
    expected = references.damped_least_squares(system.dense, system.rhs, ridge)
    # The condition number of the least-squares problem itself is the root of the system's.
    tolerance = np.sqrt(np.finfo(float).eps) * np.sqrt(condition)
    residual, best = (np.linalg.norm(system.dense @ q - system.rhs) for q in (step, expected))
    size = np.linalg.norm(system.rhs)
    assert abs(residual - best) <= tolerance * size
    assert abs(np.linalg.norm(step) / np.linalg.norm(expected) - 1) <= tolerance


@every_solver
@every_shape
@pytest.mark.parametrize("table", cases.TABLES_OF_CLEAR_RANK, ids=lambda table: table.__name__)
@output_trained_or_not
@pytest.mark.parametrize("antisymmetric", [True, False])
def test_without_ridge_the_step_of_minimum_norm(
    solver, shape, table, train_output, antisymmetric, rng
):
    system = problem(table, shape, rng, train_output=train_output, antisymmetric=antisymmetric)
    relative = system.eigenvalues / system.eigenvalues.max()
    cut = max(system.dense.shape) * np.finfo(float).eps
    kept = relative > cut
    assert (relative[~kept] < 1e-20).all()  # the rank is beyond doubt
    rhs = system.rhs + 10 * system.dense @ rng.standard_normal(system.dense.shape[1])
    step = solve(solver, system, 0.0, rng, rhs=rhs).step
    expected = np.linalg.pinv(system.dense, rcond=np.sqrt(cut)) @ rhs
    condition = 1 / relative[kept].min()
    # A tolerance of 1e-10 on the residual is one of 1e-10 sqrt(cond) on the step, and a truncated
    # solution comes from the squared matrix.
    tolerance = max(1e-8, 1e-10 * np.sqrt(condition), np.finfo(float).eps * condition)
    assert_close_in_norm(step, expected, tolerance)


@every_solver
@every_shape
@pytest.mark.parametrize("ridge", [0.0, 1e-3])
def test_zero_right_hand_side(solver, shape, ridge, rng):
    system = problem(cases.ordinary_table, shape, rng)
    result = solve(solver, system, ridge, rng, rhs=np.zeros(len(system.rhs)))
    np.testing.assert_array_equal(result.step, 0)
    assert result.converged


@every_solver
@every_shape
def test_one_state_serves_several_ridges_and_right_hand_sides(solver, shape, rng):
    system = problem(cases.ordinary_table, shape, rng)
    state = solver.prepare(system.jacobian, sketch=Gaussian(), rng=rng)
    largest = system.eigenvalues.max()
    for ridge in (1e-2, 1.0, 1e-4, 1e2):
        rhs = rng.standard_normal(len(system.rhs))
        copy = rhs.copy()
        step = solver.solve(state, rhs, ridge * largest).step
        expected = references.damped_least_squares(system.dense, rhs, ridge * largest)
        assert_close_in_norm(step, expected, 1e-8)
        np.testing.assert_array_equal(rhs, copy)


@pytest.mark.parametrize("solver", cases.SOLVERS, ids=repr)
@every_shape
def test_float32(solver, shape, rng):
    arrays = cases.network_arrays(cases.ordinary_table, shape, rng, dtype=np.float32)
    J, dense = Jacobian(*arrays), references.jacobian(*arrays)
    rhs = rng.standard_normal(len(dense)).astype(np.float32)
    ridge = 1e-2 * np.linalg.norm(dense, 2) ** 2
    state = solver.prepare(J, sketch=Gaussian(), rng=rng)
    result = solver.solve(state, rhs, ridge)
    assert result.step.dtype == np.float32
    assert_close_in_norm(result.step, references.damped_least_squares(dense, rhs, ridge), 1e-4)
    assert np.isfinite(solver.solve(state, rhs, 0.0).step).all()


@every_sketch
@every_shape
@pytest.mark.parametrize("condition", [1e2, 1e6])
def test_cg_and_direct_give_the_same_step(sketch, shape, condition, rng):
    system = problem(cases.ordinary_table, shape, rng)
    ridge = system.ridge_for(condition)
    iterative = solve(CG(tol=1e-10), system, ridge, rng, sketch=sketch)
    direct = solve(Direct(), system, ridge, rng)
    assert_close_in_norm(iterative.step, direct.step, 1e-8)


@every_shape
def test_direct_says_that_a_system_is_ill_conditioned(shape, rng):
    system = problem(cases.duplicated_table, shape, rng, antisymmetric=True)
    largest = system.eigenvalues.max()
    assert system.eigenvalues.min() < 1e-12 * largest
    result = solve(Direct(), system, 1e-17 * largest, rng)
    assert "ill-conditioned" in result.message or result.truncated
    assert np.isfinite(result.step).all()
    assert solve(Direct(), system, 1e-3 * largest, rng).message == ""


@every_shape
@pytest.mark.parametrize("solver", [CG(), Direct()], ids=repr)
def test_a_truncated_solution_is_reported(solver, shape, rng):
    system = problem(cases.duplicated_table, shape, rng, antisymmetric=True)
    if system.eigenvalues.min() > 1e-12 * system.eigenvalues.max():
        pytest.fail("the case is meant to be rank-deficient")
    result = solve(solver, system, 0.0, rng)
    assert result.truncated
    assert result.message  # why


@pytest.mark.parametrize("solver", cases.SOLVERS, ids=repr)
@pytest.mark.parametrize("ridge", [0.0, 1e-3])
def test_a_jacobian_of_zeros(solver, ridge, rng):
    J = Jacobian(np.zeros((8, 3)), np.ones((4, 3)), np.ones((4, 1)), train_output=False)
    state = solver.prepare(J, sketch=Gaussian(), rng=rng)
    result = solver.solve(state, np.ones(8), ridge)
    np.testing.assert_array_equal(result.step, 0)


@pytest.mark.parametrize("solver", cases.SOLVERS, ids=repr)
@every_shape
@pytest.mark.parametrize("ridge", [0.0, 1e-3])
def test_a_jacobian_that_overflowed_is_not_blamed_on_the_sketch(solver, shape, ridge, rng):
    rows, hidden, output = cases.network_arrays(cases.ordinary_table, shape, rng)
    J = Jacobian(rows, hidden, output * np.inf)
    with np.errstate(all="ignore"):
        state = solver.prepare(J, sketch=Gaussian(), rng=rng)
        result = solver.solve(state, np.ones(len(rows) * shape.n_outputs), ridge)
    assert not np.isfinite(result.step).any()


@pytest.mark.parametrize("entry", [np.inf, 0.0])
@pytest.mark.parametrize("shape", [cases.WIDE_SHAPES[0], cases.TALL_SHAPES[0]], ids=str)
def test_a_sketch_is_not_blamed_where_the_matrix_itself_nearly_overflows(entry, shape, rng):
    # Found by hypothesis: a stream in hopeless units, float32.
    arrays = cases.network_arrays(cases.ordinary_table, shape, rng)
    rows, hidden, output = (array.astype(np.float32) for array in arrays)
    J = Jacobian(rows, hidden, output, train_output=False)
    dense = references.jacobian(rows, hidden, output, train_output=False)
    largest = np.square(dense).sum(axis=int(dense.shape[0] <= dense.shape[1])).max()
    size = 1e37 if entry else 1e-37
    extreme = np.float32((size / float(largest)) ** 0.5) * output
    state = _CGState(Jacobian(rows, hidden, extreme, train_output=False), CountSketch(), rng)
    sketched = np.full((3, 3), entry, dtype=np.float32)
    drawn = np.zeros((3, 3))
    CG()._check_product(sketched, drawn, state)
    with pytest.raises(ValueError, match="CountSketch.* gave .* for a finite matrix"):
        CG()._check_product(sketched, drawn, _CGState(J, CountSketch(), rng))


class Broken(Sketch):
    """Draws a matrix of equal entries."""

    def __init__(self, entry=np.nan):
        self.entry = entry

    def draw(self, sketch_size, n_rows, rng):
        return np.full((sketch_size, n_rows), self.entry)


@pytest.mark.parametrize("ridge", [0.0, 1e-3])
@pytest.mark.parametrize("train_output", [True, False])
@pytest.mark.parametrize("entry", [np.nan, np.inf, 0.0])
@pytest.mark.parametrize("shape", [cases.WIDE_SHAPES[0], cases.TALL_SHAPES[0]], ids=str)
def test_a_broken_sketch_is_named(ridge, train_output, entry, shape, rng):
    system = problem(cases.ordinary_table, shape, rng, train_output=train_output)
    hides = entry == 0 and train_output and shape.n_samples < shape.width
    if hides:  # the exact output layer is left: a poor preconditioner, and a right solution
        step = solve(CG(), system, ridge, rng, sketch=Broken(entry)).step
        np.testing.assert_allclose(
            step, solve(Direct(), system, ridge, rng).step, rtol=1e-6, atol=1e-8
        )
        return
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"Broken\(.*`sketch`"):
        solve(CG(), system, ridge, rng, sketch=Broken(entry))
