"""Break the package in one place at a time, and see that a named test notices.

    python tests/mutants.py                # all of them, some minutes
    python tests/mutants.py cg damping     # those whose name or file contains one of the words

Every mutant is one replacement in one file of a copy of the package in a temporary directory. The
script first runs the named tests on the copy as it is, where they must pass, then prints for each
mutant the test that caught it. Exit status 1: a mutant survived, or a text to replace is no longer
found exactly once (then write the mutant anew for the code as it now is).
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Mutant(NamedTuple):
    """In ``module``, ``old`` becomes ``new``; ``test`` (a path, perhaps with ::) must fail."""

    name: str
    module: str
    old: str
    new: str
    test: str


MUTANTS = [
    # The Jacobian and the network
    Mutant(
        "sign of the output layer in J v",
        "_jacobian.py",
        "combined += change[:, :, None]",
        "combined -= change[:, :, None]",
        "tests/test_jacobian.py::test_derivatives_by_central_differences",
    ),
    Mutant(
        "sign of the output layer in J' u",
        "_jacobian.py",
        'np.einsum("tkdm,md->tmk", moments, self.hidden_weights, out=output)',
        'np.einsum("tkdm,md->tmk", -moments, self.hidden_weights, out=output)',
        "tests/test_jacobian.py::test_products",
    ),
    Mutant(
        "output layer missing in J J' u",
        "_jacobian.py",
        'change = np.einsum("mkd,md->mk", moments, self.hidden_weights[neurons])',
        "change = None",
        "tests/test_jacobian.py::test_products",
    ),
    Mutant(
        "rows of the first output for all of them, in a dense sketch",
        "_row_sketch.py",
        "last - output * n), output)",
        "last - output * n), 0)",
        "tests/test_row_sketch.py::test_a_dense_sketch_in_pieces_that_end_anywhere",
    ),
    Mutant(
        "a product that replaces what it should be added to",
        "_blas.py",
        '"beta": float(add)',
        '"beta": 0.0',
        "tests/test_blas.py::test_a_product_is_that_of_numpy",
    ),
    Mutant(
        "a product in the larger dtype, lost where it should go to a smaller one",
        "_blas.py",
        'if out is None else routine("gemm", out, out)',
        "",
        "tests/test_blas.py::test_the_dtype_of_out_counts",
    ),
    Mutant(
        "output layer not eliminated from the hidden one",
        "_elimination.py",
        "times=-1.0",
        "times=0.0",
        "tests/test_elimination.py::test_it_is_the_damped_least_squares_solution",
    ),
    Mutant(
        "output layer that does not follow the hidden one",
        "_elimination.py",
        "output - product(self._coupling.T, pushed)",
        "output",
        "tests/test_elimination.py::test_it_is_the_damped_least_squares_solution",
    ),
    Mutant(
        "first block of rows for all of them",
        "_elimination.py",
        "add_outer(self._hidden, Z.T)",
        "start or add_outer(self._hidden, Z.T)",
        "tests/test_elimination.py::test_blocks_of_rows_are_summed",
    ),
    Mutant(
        "rows weighted by output taken for equal ones",
        "_scaled_jacobian.py",
        "self._unscaled, self.outputs_alike = jacobian, False",
        "self._unscaled = jacobian",
        "tests/test_elimination.py::test_where_it_is_cheaper",
    ),
    Mutant(
        "small batches of many outputs, whatever larger ones cost",
        "_fitting.py",
        "samples.X.shape[1] + 1) if eliminates else None",
        "samples.X.shape[1] + 1) if False else None",
        "tests/test_elimination.py::test_a_fit_of_many_outputs_is_the_same",
    ),
    Mutant(
        "output intercept missing in the Gram matrix",
        "_gram.py",
        "add_outer(output_layer, np.ascontiguousarray(rows[:, -1:]))",
        "pass",
        "tests/test_jacobian.py::test_gram_and_normal_matrix",
    ),
    Mutant(
        "output layer of the sketched rows transposed",
        "_row_sketch.py",
        "target[:, block] = sketched.transpose(0, 2, 1)",
        "target[:, block] = sketched.reshape(target[:, block].shape)",
        "tests/test_jacobian.py::test_sketches",
    ),
    Mutant(
        "stable rank taken to be the number of columns",
        "_jacobian.py",
        "float(eigenvalues.sum() / eigenvalues[-1])",
        "float(len(eigenvalues))",
        "tests/solvers/test_cg.py::test_count_stays_bounded_through_the_stable_rank",
    ),
    Mutant(
        "output intercept penalised",
        "_network.py",
        "shares[-self.intercept.size :] = 0",
        "shares[-self.intercept.size :] = 1",
        "tests/test_network.py::test_all_but_the_output_intercept_is_penalised",
    ),
    Mutant(
        "neurons of a pair that do not cancel",
        "_network.py",
        "[signs, -signs, ",
        "[signs, signs, ",
        "tests/test_network.py::test_initial_network_is_small_balanced_and_zero",
    ),
    Mutant(
        "paper's output layer too small",
        "_network.py",
        "/ np.sqrt(width)",
        "/ width",
        "tests/test_network.py::test_initial_network_of_the_paper",
    ),
    Mutant(
        "intercept not multiplied by the root of the weight",
        "_network.py",
        "                values += block[:, -1:] * self.intercept",
        "                values += self.intercept",
        "tests/test_network.py::test_evaluation_and_linearisation",
    ),
    # Scaling
    Mutant(
        "fold of the means off by one column",
        "_scaling.py",
        "bias - self.x_mean @ coefs",
        "bias - np.roll(self.x_mean, 1) @ coefs",
        "tests/test_scaling.py::test_folded_weights_predict_the_same_from_raw_inputs",
    ),
    Mutant(
        "variance without weights",
        "_scaling.py",
        "variance += np.ascontiguousarray(weight[block]) @ centred**2",
        "variance += np.sum(centred**2, axis=0) / len(table)",
        "tests/test_scaling.py::test_weighted_moments",
    ),
    Mutant(
        "columns of two values divided by their deviation",
        "_scaling.py",
        "two_valued = varies & (share > 1 - _TWO_VALUED)",
        "two_valued = np.zeros_like(varies)",
        "tests/test_scaling.py::test_columns_of_two_values_are_two_apart",
    ),
    Mutant(
        "all columns divided by half of their range",
        "_scaling.py",
        "two_valued = varies & (share > 1 - _TWO_VALUED)",
        "two_valued = varies",
        "tests/test_scaling.py::test_columns_of_two_values_are_two_apart",
    ),
    Mutant(
        "nearly constant columns scaled up",
        "_scaling.py",
        "deviation <= 10 * np.finfo(np.float64).eps * np.abs(mean)",
        "deviation < 0",
        "tests/test_scaling.py::test_constant_columns_count_as_absent",
    ),
    Mutant(
        "range of one block taken for that of all",
        "_scaling.py",
        "return merged.widened(other)",
        "return merged",
        "tests/test_bounds.py::test_a_stream_widens_its_bounds",
    ),
    # Bounds of predictions
    Mutant(
        "rows bounded at those of training",
        "_bounds.py",
        "[moments.least - margin, moments.largest + margin]",
        "[moments.least, moments.largest]",
        "tests/test_bounds.py::test_rows_inside_are_what_the_network_says_of_them",
    ),
    Mutant(
        "zeros that are not stored left out of bounds",
        "_bounds.py",
        "zeros = np.clip(0.0, *bounds)",
        "zeros = np.zeros(bounds.shape[1])",
        "tests/test_bounds.py::test_zeros_that_are_not_stored_move_as_well",
    ),
    Mutant(
        "zeros of a sparse column left out of its range",
        "_sparse.py",
        "np.minimum(least, 0.0, where=has_zeros, out=least)",
        "pass",
        "tests/test_bounds.py::test_the_range_is_that_of_rows_with_weight",
    ),
    Mutant(
        "held-out targets beyond the bounds",
        "_regressor.py",
        "y_moments = y_moments.widened(fit_moments(held_out.y, held_out.weight))",
        "pass",
        "tests/test_bounds.py::test_held_out_rows_were_seen",
    ),
    Mutant(
        "predictions without bounds",
        "_regressor.py",
        "np.clip(out, *self.target_bounds_, out=out)",
        "pass",
        "tests/test_bounds.py::test_predictions_stay_near_the_targets",
    ),
    # One step
    Mutant(
        "momentum with the wrong sign",
        "_step.py",
        "centre += (damping / ridge) * self",
        "centre -= (damping / ridge) * self",
        "tests/test_step.py::test_step_minimises_its_subproblem",
    ),
    Mutant(
        "penalty pulls away from zero",
        "_step.py",
        "centre = (-self.alpha / ridge)",
        "centre = (self.alpha / ridge)",
        "tests/test_step.py::test_step_minimises_its_subproblem",
    ),
    Mutant(
        "penalty missing in the gradient",
        "_step.py",
        "return slope + self.alpha * self.penalised_theta",
        "return slope",
        "tests/test_step.py::test_value_and_gradient",
    ),
    Mutant(
        "predicted decrease with a whole quadratic term",
        "_step.py",
        "-(linear + 0.5 * curvature)",
        "-(linear + curvature)",
        "tests/test_step.py::test_trial_and_predicted_decrease",
    ),
    # The penalty of columns
    Mutant(
        "columns that matter are penalised more",
        "_relevance.py",
        "rho / believed",
        "believed / rho",
        "tests/test_relevance.py::test_the_penalty_is_the_inverse_square_of_the_size_of_a_column",
    ),
    Mutant(
        "weighing changes the penalty of the network",
        "_relevance.py",
        "squares.size / np.sum(squares / mean / believed)",
        "1.0",
        "tests/test_relevance.py::test_the_penalty_of_the_network_stays_what_it_was",
    ),
    Mutant(
        "no limit to how much a column is believed to matter",
        "_relevance.py",
        "_LEAST**2, _LARGEST**2",
        "_LEAST**2, np.inf",
        "tests/test_relevance.py::test_no_column_is_believed_to_matter_much_more_or_less_than_all",
    ),
    Mutant(
        "columns that do not vary have a say",
        "_relevance.py",
        "hidden[:, :-1])[varying]",
        "hidden[:, :-1])",
        "tests/test_relevance.py::test_columns_that_do_not_vary_have_no_say_and_the_factor_1",
    ),
    Mutant(
        "constant columns taken for others",
        "_training_data.py",
        "block.rows.any(axis=0) for block",
        "block.rows.any(axis=0) | True for block",
        "tests/test_relevance.py::test_constant_columns_do_not_hide_which_columns_matter",
    ),
    Mutant(
        "columns are not weighed",
        "_cycles.py",
        "search.suit_the_columns()",
        "pass",
        "tests/test_relevance.py::test_columns_that_do_not_matter_are_penalised_more_and_that_helps",
    ),
    Mutant(
        "columns are weighed by what was learnt of noise",
        "_cycles.py",
        "if learnt and not stopped and first > 0:",
        "if not stopped and first > 0:",
        "tests/test_relevance.py::test_only_a_search_that_learnt_something_weighs_columns",
    ),
    Mutant(
        "columns of raw rows are weighed",
        "_penalty.py",
        "if not self.groups[0].training.network.train_output:",
        "if False:",
        "tests/test_relevance.py::test_only_a_search_that_learnt_something_weighs_columns",
    ),
    Mutant(
        "steps on all rows forget what another network learnt of the columns",
        "_schedule.py",
        "training.alpha, training.column_penalty = choose_penalty(",
        "training.alpha, _ = choose_penalty(",
        "tests/test_relevance.py::test_without_batches_another_network_weighs_the_columns",
    ),
    Mutant(
        "a warm start forgets the penalty of columns",
        "_schedule.py",
        "resume.alpha, resume.column_penalty",
        "resume.alpha, None",
        "tests/test_relevance.py::test_a_warm_start_keeps_the_weighing_and_a_number_for_alpha_ends_it",
    ),
    Mutant(
        "a late column keeps the penalty of a constant one",
        "_fitting.py",
        "penalty[late] = 1.0",
        "pass",
        "tests/test_relevance.py::test_a_column_that_varies_late_is_penalised_like_the_mean",
    ),
    Mutant(
        "penalty of columns not in the objective",
        "_step.py",
        "network.penalised(column_penalty)",
        "network.penalised()",
        "tests/test_metric.py::test_values_and_slopes_under_a_penalty_by_columns",
    ),
    Mutant(
        "steps on all rows penalise all columns alike",
        "_training.py",
        "elif self.column_penalty is not None:",
        "elif False:",
        "tests/test_training.py::test_the_penalty_of_columns_counts_in_every_subproblem",
    ),
    Mutant(
        "flips in the wrong coordinates",
        "_step.py",
        "self.jacobian.flips(_transformed(network.hidden, self._inward))",
        "self.jacobian.flips(network.hidden)",
        "tests/test_metric.py::test_values_and_slopes_under_a_penalty_by_columns",
    ),
    Mutant(
        "sketch on a cluster penalises all columns alike",
        "dask/_table.py",
        "return sketched * self._outward",
        "return sketched",
        "tests/test_dask.py::test_the_sketched_jacobian_is_the_sum_of_its_parts",
    ),
    Mutant(
        "products on a cluster penalise all columns alike",
        "dask/_table.py",
        'self._outward * self._total(_blocks.normal_product, "products", vector=future)',
        'self._total(_blocks.normal_product, "products", vector=future)',
        "tests/test_dask.py::test_a_problem_on_blocks_is_the_problem_on_all_rows",
    ),
    # The metric of the damping
    Mutant(
        "last step drawn to in the plain norm",
        "_step.py",
        "self._times(drift, self._metric)",
        "drift",
        "tests/test_metric.py::test_step_minimises_its_subproblem",
    ),
    Mutant(
        "step left in its coordinates",
        "_step.py",
        "return self._times(centre + result.step, self._outward), result",
        "return centre + result.step, result",
        "tests/test_metric.py::test_step_minimises_its_subproblem",
    ),
    Mutant(
        "gradient left in its coordinates",
        "_step.py",
        "self._times(self.jacobian.rmatvec(self.residual), self._inward)",
        "self.jacobian.rmatvec(self.residual)",
        "tests/test_metric.py::test_nothing_but_the_damping_depends_on_the_metric",
    ),
    Mutant(
        "image of a step that is not in the coordinates",
        "_step.py",
        "self.jacobian.matvec(self._times(step, self._inward))",
        "self.jacobian.matvec(step)",
        "tests/test_metric.py::test_sensitivity_is_the_derivative_of_the_step",
    ),
    Mutant(
        "coordinates of another penalty kept",
        "_metric.py",
        "if self._key != key:",
        "if self._key is None:",
        "tests/test_metric.py::test_coordinates_follow_the_ratio_of_penalty_and_damping_and_the_dtype",
    ),
    Mutant(
        "penalty left out of the coordinates",
        "_metric.py",
        "(1 - share) * np.diag(penalty) + share * self._metric",
        "self._metric",
        "tests/test_metric.py::test_a_penalty_alone_leaves_the_weights_as_they_are",
    ),
    Mutant(
        "no floor under the metric",
        "_metric.py",
        "(covariance + _FLOOR * np.eye(n_features)) / (1 + _FLOOR)",
        "covariance + 1e-9 * np.eye(n_features)",
        "tests/test_metric.py::test_no_direction_is_damped_less_than_the_floor",
    ),
    Mutant(
        "covariance not divided by the weights",
        "_metric.py",
        "covariance /= data.weight",
        "covariance /= len(data)",
        "tests/test_metric.py::test_the_covariance_of_a_table_counts_weights_and_not_the_column_of_ones",
    ),
    Mutant(
        "batches damped in the plain norm",
        "_batch_phase.py",
        "training.subproblem(batch, training.metric)",
        "training.subproblem(batch)",
        "tests/test_metric.py::test_a_difference_of_nearly_equal_columns_is_learnt",
    ),
    # Training
    Mutant(
        "whole penalty on every batch",
        "_training.py",
        "alpha * data.weight",
        "alpha * self.total_weight",
        "tests/test_training.py::test_penalty_of_a_batch_is_its_share_of_the_weight",
    ),
    Mutant(
        "damping of a batch not multiplied by its weight",
        "_batch_phase.py",
        "value, damping = problem.value(), training.ridge(weight)",
        "value, damping = problem.value(), training.damping",
        "tests/test_training.py::test_first_step_is_a_share_of_the_minimising_step",
    ),
    Mutant(
        "damping on all rows not multiplied by their weight",
        "_all_rows_phase.py",
        "prepared, training.ridge(weight))",
        "prepared, training.damping)",
        "tests/test_training.py::test_step_on_all_rows_is_damped_per_unit_of_weight",
    ),
    Mutant(
        "step length that does not fall",
        "_batch_phase.py",
        "length = STEP_LENGTH + (last_length - STEP_LENGTH) * (step / n_steps)",
        "length = STEP_LENGTH",
        "tests/test_training.py::test_step_length_falls_linearly",
    ),
    Mutant(
        "momentum left out",
        "_batch_phase.py",
        "drift = training.momentum * drift",
        "drift = 0 * drift",
        "tests/test_training.py::test_second_step_is_drawn_to_the_first",
    ),
    Mutant(
        "rows of an epoch left out",
        "_training_data.py",
        "order[batch::n_batches]",
        "order[batch :: n_batches + 1]",
        "tests/test_training.py::test_every_row_is_used_once_an_epoch_in_batches_of_equal_size",
    ),
    Mutant(
        "Nielsen's rule inverted",
        "_all_rows_phase.py",
        "training.damping *= training.growth",
        "training.damping /= training.growth",
        "tests/test_training.py::test_rejections_double_the_damping_ever_faster_and_acceptance_resets",
    ),
    Mutant(
        "steps accepted that raise the objective",
        "_all_rows_phase.py",
        "bool(np.isfinite(trial_value) and gain > 0)",
        "bool(np.isfinite(trial_value))",
        "tests/test_training.py::test_objective_never_rises_on_all_rows",
    ),
    Mutant(
        "steps that blow up taken in full",
        "_batch_phase.py",
        "if trial <= _BLOW_UP * value:",
        "if np.isfinite(trial):",
        "tests/test_training.py::test_a_batch_step_that_blows_up_is_shortened",
    ),
    # Schedule and penalty
    Mutant(
        "network kept that errs more than the mean",
        "_schedule.py",
        "worse = judged and not exact and watch.has_got_worse(data, times)",
        "worse = False",
        "tests/test_training.py::test_a_fit_that_gets_worse_predicts_the_mean_and_says_so",
    ),
    Mutant(
        "network gone on from, however far away it is",
        "_schedule.py",
        "times = _OUT_OF_REACH if",
        "times = np.inf if",
        "tests/test_training.py::test_a_fit_to_be_continued_may_get_worse_but_not_out_of_reach",
    ),
    Mutant(
        "search for the penalty that depends on the unit of the weights",
        "_penalty.py",
        "START * self.row_weight * training.weight_unit",
        "training.alpha = START",
        "tests/test_properties.py::test_the_unit_of_the_weights_does_not_matter",
    ),
    Mutant(
        "worst instead of best network kept",
        "_watch.py",
        "if current < self.best_loss:",
        "if not current < self.best_loss:",
        "tests/test_estimator.py::test_validation_rows_of_the_user",
    ),
    Mutant(
        "damping of a warm start as before, whatever is asked for",
        "_schedule.py",
        "        if settings.damping == resume.first_damping:\n",
        "        if True:\n",
        "tests/test_estimator.py::test_a_warm_start_takes_another_damping",
    ),
    Mutant(
        "damping forgotten by a warm start",
        "_schedule.py",
        "training.damping, training.growth = resume.damping, resume.growth",
        "pass",
        "tests/test_estimator.py::test_warm_starts_of_one_step_are_one_fit_of_several",
    ),
    Mutant(
        "cycle kept that the judges do not confirm",
        "_cycles.py",
        "if not error < (1 - _WORTH) * least:",
        "if False:",
        "tests/test_cycles.py::test_smaller_penalties_are_tried_while_the_judges_gain",
    ),
    Mutant(
        "noise learnt",
        "_schedule.py",
        "if training.network.train_output and not learnt:",
        "if False:",
        "tests/test_cycles.py::test_pure_noise_is_predicted_by_its_mean",
    ),
    Mutant(
        "trials in the other direction than the judges ask for",
        "_penalty.py",
        "effects[2] < 0",
        "effects[2] > 0",
        "tests/test_penalty.py::test_alpha_moves_to_where_the_judges_would_be_served",
    ),
    Mutant(
        "penalty of the last cycle instead of the best",
        "_cycles.py",
        "search.state = best",
        "pass",
        "tests/test_cycles.py::test_smaller_penalties_are_tried_while_the_judges_gain",
    ),
    Mutant(
        "groups of equal means taken for one",
        "_folds.py",
        'number, n_apart = (1 + np.argsort(np.argsort(means, kind="stable")))[codes], len(means)',
        "number, n_apart = _numbers(means)[0][codes], _numbers(means)[1]",
        "tests/test_folds.py::test_groups_of_equal_means_are_different_ones",
    ),
    Mutant(
        "few groups of many rows of which none judges",
        "_penalty.py",
        "if data.groups is None else share",
        "",
        "tests/test_penalty.py::test_few_groups_of_many_rows_judge",
    ),
    Mutant(
        "most rows held out with their group",
        "_penalty.py",
        "fewest = max(1, len(place) // 2) if grouped else 2",
        "fewest = 2",
        "tests/test_penalty.py::test_a_group_of_most_rows_is_trained_on",
    ),
    Mutant(
        "batches as large as the shortest table allows",
        "_batch_phase.py",
        "ceil(max(map(len, tables)) / batch_size)",
        "ceil(min(map(len, tables)) / batch_size)",
        "tests/test_training.py::test_no_batch_is_larger_than_asked_for",
    ),
    Mutant(
        "early stopping by a group of most rows",
        "_regressor.py",
        "if 2 * len(draw[0]) >= len(samples.y)",
        "",
        "tests/test_fit_groups.py::test_early_stopping_leaves_half_of_the_rows",
    ),
    Mutant(
        "missing labels that are a group",
        "_validation.py",
        "    if n_missing:\n",
        "    if n_missing < 0:\n",
        "tests/test_fit_groups.py::test_missing_labels_are_counted",
    ),
    Mutant(
        "judging rows trained on",
        "_penalty.py",
        "data.kept(~held_out), data.part(judges)",
        "data.kept(~held_out | True), data.part(judges)",
        "tests/test_penalty.py::test_equal_rows_are_held_out_together",
    ),
    Mutant(
        "penalty moved against the slope",
        "_penalty.py",
        "move = min(max(-slope / curvature",
        "move = min(max(slope / curvature",
        "tests/test_penalty.py::test_alpha_moves_to_where_the_judges_would_be_served",
    ),
    Mutant(
        "sensitivity without the residual's change",
        "_step.py",
        "residual = self.image(sensitivity)",
        "residual = 0 * self.residual",
        "tests/test_penalty.py::test_the_sensitivity_is_the_derivative_of_the_trained_parameters",
    ),
    Mutant(
        "rows equal beside one that is far out",
        "_folds.py",
        "1e-9 * (1.0 + np.maximum(np.abs(ordered[1:]), np.abs(ordered[:-1])))",
        "1e-9 * (1.0 + np.abs(ordered).max())",
        "tests/test_robustness.py::test_one_target_at_any_distance_is_held_off_by_the_huber_loss",
    ),
    Mutant(
        "copies of a row on both sides",
        "_folds.py",
        "np.diff(ordered) > spread",
        "np.diff(ordered) > -1",
        "tests/test_penalty.py::test_equal_rows_are_held_out_together",
    ),
    # Linear algebra
    Mutant(
        "factor taken for its transpose",
        "_preconditioner.py",
        "return Preconditioner(factor, lower=True, exact=exact)",
        "return Preconditioner(factor, lower=False, exact=exact)",
        "tests/test_preconditioner.py::test_gram_factor_applies_the_inverse",
    ),
    Mutant(
        "rank by the units of columns",
        "_preconditioner.py",
        "/ size / np.linalg.norm(factor / size, axis=0)",
        "/ size.max()",
        "tests/test_fast_regression.py::test_rank_does_not_depend_on_the_units_of_columns",
    ),
    Mutant(
        "rank test left out",
        "_preconditioner.py",
        "if left.min() <= max(columns.shape) * np.finfo(factor.dtype).eps:",
        "if left.min() < 0:",
        "tests/test_preconditioner.py::test_columns_without_full_rank_have_no_factor",
    ),
    Mutant(
        "conjugate gradient stops ten times too early",
        "_conjugate_gradient.py",
        "        if size <= bound:",
        "        if size <= 10 * bound:",
        "tests/test_conjugate_gradient.py::test_solves_to_the_tolerance",
    ),
    Mutant(
        "conjugate directions that are not conjugate",
        "_conjugate_gradient.py",
        "inner / previous",
        "previous / inner",
        "tests/test_conjugate_gradient.py::test_stays_within_the_bound_of_its_condition_number",
    ),
    Mutant(
        "ridge missing in the product of CG",
        "solvers/_cg.py",
        "return times(vector) + right.dtype.type(ridge) * vector",
        "return times(vector)",
        "tests/solvers/test_contract.py::test_dense_solution",
    ),
    Mutant(
        "the other triangle of a factor",
        "_preconditioner.py",
        "trans=not self.lower)",
        "trans=self.lower)",
        "tests/test_preconditioner.py::test_gram_factor_applies_the_inverse",
    ),
    Mutant(
        "stale factors kept",
        "solvers/_cg.py",
        "self.max_iter if state.fresh else min(self.refresh, self.max_iter)",
        "self.max_iter",
        "tests/solvers/test_cg.py::test_a_stale_factor_is_refreshed",
    ),
    Mutant(
        "minimum-norm cut left out",
        "solvers/_direct.py",
        "kept = values > cut",
        "kept = values > 0",
        "tests/solvers/test_contract.py::test_without_ridge_the_step_of_minimum_norm",
    ),
    Mutant(
        "matrix not transposed where its order asks for it",
        "_blas.py",
        "return matrix.T, True",
        "return matrix, True",
        "tests/test_blas.py::test_a_product_is_that_of_numpy",
    ),
    Mutant(
        "result added to what was there",
        "_blas.py",
        '"beta": float(add)',
        '"beta": 1.0',
        "tests/test_blas.py::test_a_product_is_that_of_numpy",
    ),
    Mutant(
        "factor of another ridge used",
        "solvers/_direct.py",
        "state.preconditioner is None or state.ridge != ridge",
        "state.preconditioner is None",
        "tests/solvers/test_direct.py::test_one_matrix_serves_every_ridge_and_right_hand_side",
    ),
    Mutant(
        "directions below the cut lost in spite of a ridge",
        "solvers/_direct.py",
        "inverse[~kept] = 1.0 / ridge",
        "pass",
        "tests/solvers/test_direct.py::test_a_truncated_solution_keeps_what_the_ridge_determines",
    ),
    Mutant(
        "dearer solver chosen",
        "solvers/_auto.py",
        "return cg < _FORM",
        "return cg > _FORM",
        "tests/solvers/test_auto.py::test_a_kept_factor_wins_on_a_large_wide_network",
    ),
    Mutant(
        "sketch half as large as asked for",
        "_fast_regression.py",
        "ceil(oversampling * n_columns)",
        "ceil(oversampling * n_columns / 2)",
        "tests/test_fast_regression.py::test_sketch_has_the_size_asked_for",
    ),
    # Sketches
    Mutant(
        "CountSketch out of scale",
        "sketches/_count_sketch.py",
        "1 / math.sqrt(nnz)",
        "1 / nnz",
        "tests/sketches/test_sketch_contract.py::test_expected_gram_matrix_is_the_identity",
    ),
    Mutant(
        "CountSketch without signs",
        "sketches/_count_sketch.py",
        "signs = 2 * rng.integers(0, 2, size=n_rows * nnz, dtype=np.int8) - 1",
        "signs = np.ones(n_rows * nnz)",
        "tests/sketches/test_sketch_contract.py::test_expected_gram_matrix_is_the_identity",
    ),
    Mutant(
        "Gaussian out of scale",
        "sketches/_gaussian.py",
        "piece /= np.float32(math.sqrt(sketch_size))",
        "piece /= np.float32(math.sqrt(n_rows))",
        "tests/sketches/test_sketch_contract.py::test_expected_gram_matrix_is_the_identity",
    ),
    Mutant(
        "Gaussian whose blocks are equal",
        "sketches/_gaussian.py",
        "np.random.default_rng([*self.seed, start])",
        "np.random.default_rng([*self.seed])",
        "tests/sketches/test_sketches.py::test_gaussian_entries_are_independent_across_its_blocks",
    ),
    Mutant(
        "SRHT out of scale",
        "sketches/_srht.py",
        "math.sqrt(n_rows / sketch_size)",
        "math.sqrt(sketch_size / n_rows)",
        "tests/sketches/test_sketch_contract.py::test_expected_gram_matrix_is_the_identity",
    ),
    Mutant(
        "SRHT without its permutation",
        "sketches/_srht.py",
        "block = np.take(block, self.permutation, axis=1)",
        "pass",
        "tests/sketches/test_sketches.py::test_srht_needs_its_permutation_on_a_periodic_matrix",
    ),
    Mutant(
        "products with another number of rows accepted",
        "sketches/_base.py",
        "or A.shape[0] != self.shape[1]",
        "or A.shape[0] < 0",
        "tests/sketches/test_sketch_contract.py::test_product_refuses",
    ),
    # The estimator
    Mutant(
        "weights not rooted",
        "_scaling.py",
        "sqrt_weight = by_value(np.sqrt, weight)",
        "sqrt_weight = weight",
        "tests/test_estimator.py::test_weights_are_repetitions",
    ),
    Mutant(
        "rows of weight zero kept",
        "_validation.py",
        "samples.selected(np.flatnonzero(weight))",
        "samples",
        "tests/test_estimator.py::test_rows_of_weight_zero_count_as_absent",
    ),
    Mutant(
        "weights that overflow float32",
        "_validation.py",
        "unit = 2.0 ** (2 * ((int(np.frexp(largest)[1]) - 1) // 2))",
        "unit = 1.0",
        "tests/test_properties.py::test_the_unit_of_the_weights_does_not_matter",
    ),
    Mutant(
        "negative weights accepted",
        "_validation.py",
        "if (weight < 0).any():",
        "if (weight < -np.inf).any():",
        "tests/test_estimator.py::test_bad_data_leaves_the_estimator_as_it_was",
    ),
    Mutant(
        "half a fit left behind by an error",
        "_validation.py",
        "estimator.__dict__.clear()",
        "pass",
        "tests/test_estimator.py::test_a_sketch_that_draws_nonsense_is_named",
    ),
    Mutant(
        "user's own strategy used instead of a clone",
        "_strategies.py",
        "return clone(value)",
        "return value",
        "tests/test_estimator.py::test_clone_is_unfitted_and_equal_in_its_parameters",
    ),
    Mutant(
        "members added up instead of averaged",
        "_members.py",
        "np.concatenate([coefs[1] for coefs, _ in folded]) / len(folded)",
        "np.concatenate([coefs[1] for coefs, _ in folded])",
        "tests/test_members.py::test_the_mean_of_networks_is_one_wider_network",
    ),
    Mutant(
        "threads of BLAS not limited",
        "_members.py",
        'threadpool_limits(limits=1, user_api="blas")',
        "threadpool_limits(limits=None)",
        "tests/test_members.py::test_members_train_with_one_blas_thread_each",
    ),
    Mutant(
        "threads of BLAS given back by the first fit that ends",
        "_members.py",
        "            _n_fits -= 1\n            if _n_fits == 0:",
        "            _n_fits -= 1\n            if _limit is not None:",
        "tests/test_members.py::test_fits_that_overlap_leave_blas_its_threads",
    ),
    Mutant(
        "callback that ends the first member only",
        "_members.py",
        'in ("interrupted", "callback")',
        'in ("interrupted",)',
        "tests/test_callbacks.py::test_a_callback_ends_all_members",
    ),
    Mutant(
        "rows of a file read to select some of them",
        "_tables.py",
        "if isinstance(table, SelectedRows):",
        "if False:",
        "tests/test_training_data.py::test_views_of_a_file_are_recognised",
    ),
    Mutant(
        "export that shares its arrays",
        "_export.py",
        "[coef.copy() for coef in model.coefs_]",
        "list(model.coefs_)",
        "tests/test_export.py::test_the_export_is_a_copy",
    ),
    Mutant(
        "pickles of later formats loaded",
        "_pickling.py",
        'if stamp["format"] > STATE_FORMAT:',
        'if stamp["format"] < 0:',
        "tests/test_pickles.py::test_a_pickle_of_a_later_format_says_what_to_install",
    ),
    Mutant(
        "header printed with every line",
        "_reporting.py",
        "if steps == 0:",
        "if steps >= 0:",
        "tests/test_estimator.py::test_verbose_prints_a_line_an_epoch",
    ),
    # Losses
    Mutant(
        "gradient of the Poisson loss with the wrong sign",
        "_losses.py",
        "return value, rate - y, rate",
        "return value, y - rate, rate",
        "tests/test_losses.py::test_gradient_and_curvature_by_central_differences",
    ),
    Mutant(
        "deviance that is not 0 where the rate is the count",
        "_losses.py",
        "rate - y - y * f + xlogy(y, y)",
        "rate - y * f + xlogy(y, y)",
        "tests/test_losses.py::test_poisson_is_half_the_deviance",
    ),
    Mutant(
        "working residual without the curvature",
        "_losses.py",
        "(sqrt_weight * gradient / root)",
        "(sqrt_weight * gradient)",
        "tests/test_losses.py::test_objective_and_its_gradient_by_central_differences",
    ),
    Mutant(
        "lower median taken for the median",
        "_losses.py",
        "return 0.5 * ordered[lower, columns] + 0.5 * ordered[upper, columns]",
        "return ordered[lower, columns]",
        "tests/test_losses.py::test_weighted_median_and_deviation_of_repeated_rows",
    ),
    Mutant(
        "loss in the units of the squared target for counts",
        "_losses.py",
        "np.exp(0.5 * scaling.y_mean)",
        "np.exp(scaling.y_mean)",
        "tests/test_losses.py::test_the_loss_is_that_of_the_predictions",
    ),
    Mutant(
        "outliers among the judges not bounded by their weight",
        "_losses.py",
        "np.reshape(self.threshold, (-1, 1)) * rows[:, -1]",
        "np.reshape(self.threshold, (-1, 1)) * np.ones(len(rows))",
        "tests/test_losses.py::test_outliers_among_the_judges_count_as_three_thresholds",
    ),
    # The diagonal factor of a curved loss
    Mutant(
        "factor missing in diag(c) J v",
        "_scaled_jacobian.py",
        "return self.factor.reshape(self.n_outputs, -1)[:, block] * values",
        "return values",
        "tests/test_scaled_jacobian.py::test_against_a_dense_jacobian",
    ),
    Mutant(
        "factor once in J'J v",
        "_jacobian.py",
        "u[:, block] = self._scale(image, block)",
        "u[:, block] = image",
        "tests/test_scaled_jacobian.py::test_against_a_dense_jacobian",
    ),
    Mutant(
        "factor on one side of the Gram matrix only",
        "_scaled_jacobian.py",
        "gram *= self.factor[:, None]",
        "pass",
        "tests/test_scaled_jacobian.py::test_against_a_dense_jacobian",
    ),
    Mutant(
        "factor of the first output for all of them",
        "_scaled_jacobian.py",
        "[output, rows]",
        "[0, rows]",
        "tests/test_scaled_jacobian.py::test_against_a_dense_jacobian",
    ),
    Mutant(
        "sketch of rows without their factor",
        "_scaled_jacobian.py",
        "self.sketch @ (self.factor[:, None] * table)",
        "self.sketch @ table",
        "tests/test_scaled_jacobian.py::test_against_a_dense_jacobian",
    ),
    # The threshold of the Huber loss
    Mutant(
        "threshold of one standard deviation",
        "_threshold.py",
        "np.clip(HUBER_EPSILON * scale,",
        "np.clip(scale,",
        "tests/test_threshold.py::test_it_is_1_35_deviations_of_the_residuals_of_rows_held_out",
    ),
    Mutant(
        "pilot trained on the rows that judge it",
        "_threshold.py",
        "data.part(~held_out), data.part(held_out)",
        "data, data.part(held_out)",
        "tests/test_threshold.py::test_it_is_1_35_deviations_of_the_residuals_of_rows_held_out",
    ),
    Mutant(
        "values that keep the root of the weight",
        "_training_data.py",
        "return values.astype(np.float64) / np.sqrt(self.weights)[:, None]",
        "return values.astype(np.float64)",
        "tests/test_threshold.py::test_weights_are_repetitions",
    ),
    Mutant(
        "second round with the threshold of the first",
        "_threshold.py",
        "loss_function = replace(training.loss_function, threshold=threshold)",
        "loss_function = training.loss_function",
        "tests/test_threshold.py::test_it_is_1_35_deviations_of_the_residuals_of_rows_held_out",
    ),
    Mutant(
        "threshold that depends on the unit of the weights",
        "_threshold.py",
        "alpha = _ALPHA * data.weight / n_distinct * training.weight_unit",
        "alpha = _ALPHA",
        "tests/test_threshold.py::test_the_unit_of_the_weights_does_not_matter",
    ),
    # Standard deviations
    Mutant(
        "prior variance left out off the inducing rows",
        "_posterior.py",
        " + outside / ridge",
        "",
        "tests/test_uncertainty.py::test_against_the_full_jacobian",
    ),
    Mutant(
        "basis that is not normalised",
        "_posterior.py",
        "vectors[:, used] / np.sqrt(values[used])",
        "vectors[:, used]",
        "tests/test_posterior.py::test_against_dense_algebra",
    ),
    Mutant(
        "rows of a subset that stand for themselves only",
        "_posterior.py",
        "share = total / data.weight",
        "share = 1.0",
        "tests/test_posterior.py::test_against_dense_algebra",
    ),
    Mutant(
        "posterior without held-out rows made of these",
        "_posterior.py",
        "kept = self._normal(data, curvature, ~held_out)",
        "kept = self._normal(data, curvature, held_out)",
        "tests/test_posterior.py::test_against_dense_algebra",
    ),
    Mutant(
        "intercept missing in the tangent kernel",
        "_tangent_kernel.py",
        "outputs += activations + np.outer(first[:, -1], second[:, -1])",
        "outputs += activations",
        "tests/test_uncertainty.py::test_kernel_is_that_of_the_jacobian",
    ),
    Mutant(
        "output weights of several outputs added up",
        "_tangent_kernel.py",
        "np.sqrt(np.mean(output**2, axis=1))",
        "np.sqrt(np.sum(output**2, axis=1))",
        "tests/test_uncertainty.py::test_kernel_of_several_outputs_is_the_mean_and_members_keep_their_weights",
    ),
    Mutant(
        "output weights of members divided by their number",
        "_tangent_kernel.py",
        "output = n_members * network.output",
        "output = network.output",
        "tests/test_uncertainty.py::test_kernel_of_several_outputs_is_the_mean_and_members_keep_their_weights",
    ),
    Mutant(
        "diagonal of the kernel from the activations alone",
        "_tangent_kernel.py",
        'out *= np.einsum("nd,nd->n", rows, rows)',
        "pass",
        "tests/test_uncertainty.py::test_kernel_is_that_of_the_jacobian",
    ),
    Mutant(
        "held-out rows rehearsed",
        "_rehearsal.py",
        "kept = data.part(~held_out)",
        "kept = data",
        "tests/test_rehearsal.py::test_held_out_rows_have_no_influence",
    ),
    Mutant(
        "rehearsal that remembers everything",
        "_rehearsal.py",
        "_STEPS, _MEMORY = 0.15, 0.4",
        "_STEPS, _MEMORY = 0.15, 1.0",
        "tests/test_rehearsal.py::test_it_starts_between_the_fit_and_fresh_weights_and_is_short",
    ),
    Mutant(
        "rehearsal at the damping that the fit ended with",
        "_rehearsal.py",
        "damping=damping",
        "damping=training.damping",
        "tests/test_rehearsal.py::test_it_starts_between_the_fit_and_fresh_weights_and_is_short",
    ),
    Mutant(
        "rehearsal at the first damping",
        "_rehearsal.py",
        "max(n_batch_steps - 1, 0)",
        "0",
        "tests/test_rehearsal.py::test_it_is_damped_as_the_batches_were_in_the_end_but_not_more",
    ),
    Mutant(
        "rehearsal that knows which columns matter",
        "_training.py",
        "column_penalty=None,",
        "column_penalty=self.column_penalty,",
        "tests/test_rehearsal.py::test_it_does_not_know_which_columns_matter",
    ),
    Mutant(
        "rehearsals of members added up",
        "_rehearsal.py",
        "for values in predictions) / len(outcomes)",
        "for values in predictions)",
        "tests/test_rehearsal.py::test_groups_and_members_are_averaged",
    ),
    Mutant(
        "rehearsal in one group",
        "_rehearsal.py",
        "separate(outcome.training.network, outcome.n_groups)",
        "separate(outcome.training.network, 1)",
        "tests/test_rehearsal.py::test_groups_and_members_are_averaged",
    ),
    Mutant(
        "separated groups of the size of their share",
        "_groups.py",
        "dtype.type(n_groups**0.5)",
        "dtype.type(1)",
        "tests/test_groups.py::test_the_groups_of_a_mean_can_be_separated_again",
    ),
    Mutant(
        "error scale pulled away from its prior",
        "_error_scale.py",
        "- prior * parameters\n",
        "+ prior * parameters\n",
        "tests/test_error_scale.py::test_it_is_the_most_likely",
    ),
    Mutant(
        "prior of the error scale in the units of the inputs",
        "_error_scale.py",
        "_DEVIATION / np.sqrt(size)",
        "_DEVIATION",
        "tests/test_error_scale.py::test_the_unit_of_the_coordinates_does_not_matter",
    ),
    Mutant(
        "level not raised for what fitting took away",
        "_error_scale.py",
        "(1 + 2 * gamma / weights.sum())",
        "1",
        "tests/test_error_scale.py::test_squares_are_not_underestimated_on_other_rows",
    ),
    Mutant(
        "error scale without weights",
        "_error_scale.py",
        "0.5 * product(F.T, weights * (relative - 1))",
        "0.5 * product(F.T, relative - 1)",
        "tests/test_error_scale.py::test_it_is_the_most_likely",
    ),
    Mutant(
        "standard deviation by the unit of the weights",
        "_calibration.py",
        "total / (data.weight / even_places(data, rng).n_distinct),",
        "total,",
        "tests/test_uncertainty.py::test_the_unit_of_the_weights_does_not_matter",
    ),
    Mutant(
        "standard deviation by rows that count one by one, whatever their groups",
        "_calibration.py",
        "even_places(judges, rng).n_apart",
        "even_places(judges, rng).n_distinct",
        "tests/test_fit_groups.py::test_an_error_of_a_group_counts_once",
    ),
    Mutant(
        "a group that is held out in part",
        "_folds.py",
        'number, n_apart = (1 + np.argsort(np.argsort(means, kind="stable")))[codes], len(means)',
        "n_apart = len(means)",
        "tests/test_folds.py::test_a_group_has_one_place",
    ),
    Mutant(
        "repeated measurements that judge each other",
        "_penalty.py",
        "even_places(data, training.rng, cells=True)",
        "even_places(data, training.rng)",
        "tests/test_penalty.py::test_repeated_measurements_do_not_judge_each_other",
    ),
    Mutant(
        "cells of factors with few levels held out",
        "_folds.py",
        "max(_FEWEST_CELLS, n_distinct / _MOST_REPLICATES)",
        "_FEWEST_CELLS",
        "tests/test_folds.py::test_equal_inputs_are_a_cell_where_there_are_many",
    ),
    Mutant(
        "groups in the order of sums instead of means",
        "_folds.py",
        " / np.bincount(codes, data.weights)",
        "",
        "tests/test_folds.py::test_groups_lie_in_the_order_of_their_means",
    ),
    Mutant(
        "groups in whose order repeated rows count once",
        "_folds.py",
        "np.bincount(codes, data.weights * score) / np.bincount(codes, data.weights)",
        "np.bincount(codes, score) / np.bincount(codes)",
        "tests/test_folds.py::test_weights_are_repetitions",
    ),
    Mutant(
        "few groups of which none is held out",
        "_rehearsal.py",
        "max(_HELD_OUT, place.min())",
        "_HELD_OUT",
        "tests/test_rehearsal.py::test_about_a_fifth_of_the_groups_is_held_out",
    ),
    Mutant(
        "judges that count as many as their rows",
        "_penalty.py",
        "self.judge_weight = data.weight / n_apart",
        "self.judge_weight = self.row_weight",
        "tests/test_penalty.py::test_groups_of_rows_judge_together",
    ),
    Mutant(
        "early stopping by rows of groups that are trained on",
        "_regressor.py",
        "splitter = ShuffleSplit if groups is None else GroupShuffleSplit",
        "splitter = ShuffleSplit",
        "tests/test_fit_groups.py::test_early_stopping_holds_out_groups",
    ),
    Mutant(
        "groups left behind when rows are taken",
        "_training_data.py",
        "groups = None if self.groups is None else self.groups[index]",
        "groups = None",
        "tests/test_training_data.py",
    ),
    Mutant(
        "groups that do not reach the sample of a cluster",
        "dask/_raw_table.py",
        "if labels[0] is not None:",
        "if labels is None:",
        "tests/test_dask.py::test_groups_are_those_of_the_gathered_rows",
    ),
    Mutant(
        "standard deviation in standardised units",
        "_uncertainty.py",
        "            out *= unit\n",
        "",
        "tests/test_uncertainty.py::test_scales_with_the_target",
    ),
    Mutant(
        "errors of rows that were trained on",
        "_calibration.py",
        "return residuals + share * squares[held_out]",
        "return residuals",
        "tests/test_uncertainty.py::test_a_network_that_interpolates_knows_that_it_does_not_know",
    ),
    Mutant(
        "narrowest of the likely priors",
        "_calibration.py",
        "np.logspace(1, -1, 17)",
        "np.logspace(-1, 1, 17)",
        "tests/test_calibration.py::test_of_likely_ridges_the_smallest_is_taken",
    ),
    Mutant(
        "correction extrapolated",
        "_uncertainty.py",
        "np.clip(coordinates @ self.log_weights, *self.log_range)",
        "coordinates @ self.log_weights",
        "tests/test_uncertainty.py::test_the_correction_stays_within_its_range",
    ),
    Mutant(
        "correction in coordinates of the wrong basis",
        "_calibration.py",
        "log_weights=vectors.T @ log_weights",
        "log_weights=vectors @ log_weights",
        "tests/test_calibration.py::test_the_correction_is_the_fitted_one",
    ),
    # Streams
    Mutant(
        "damping of a small block for the fit that follows",
        "_partial_fit.py",
        "first_damping=np.nan,",
        "first_damping=settings.damping,",
        "tests/test_partial_fit.py::test_a_warm_start_is_not_damped_as_a_small_block_is",
    ),
    Mutant(
        "stream that forgets columns that only a warm start saw vary",
        "_streaming.py",
        "before.merged(now), weight=now.weight",
        "before, weight=now.weight",
        "tests/test_partial_fit.py::test_a_column_that_a_warm_start_has_learnt_may_be_constant_in_a_block",
    ),
    Mutant(
        "small blocks damped less",
        "_partial_fit.py",
        "damping *= max(1.0, 1.0 / fill)",
        "damping *= min(1.0, fill)",
        "tests/test_partial_fit.py::test_a_small_block_is_damped_more",
    ),
    Mutant(
        "momentum carried over in the old units",
        "_partial_fit.py",
        "step = _moved_step(step, network, before, scaling).astype(dtype)",
        "step = step.astype(dtype)",
        "tests/test_partial_fit.py::test_a_block_goes_on_with_the_moved_step",
    ),
    Mutant(
        "moved step without the change of the mean",
        "_partial_fit.py",
        "intercepts[1] += after.y_mean - before.y_mean",
        "pass",
        "tests/test_partial_fit.py::test_momentum_keeps_its_meaning_when_the_scaling_moves",
    ),
    Mutant(
        "choices of the penalty averaged by their number",
        "_partial_fit.py",
        "kept = stream.alpha_rows / rows",
        "kept = 0.5",
        "tests/test_partial_fit.py::test_the_penalty_is_chosen_by_blocks_and_averaged_by_their_rows",
    ),
    Mutant(
        "stream that penalises all columns alike",
        "_partial_fit.py",
        "column_penalty=averaged(*columns),",
        "",
        "tests/test_partial_fit.py::test_columns_that_matter_less_are_penalised_more",
    ),
    Mutant(
        "stream that forgets what a fit learnt of the columns",
        "_streaming.py",
        "column_penalty=np.append(column_penalty, 1.0),",
        "",
        "tests/test_partial_fit.py::test_columns_that_matter_less_are_penalised_more",
    ),
    Mutant(
        "number for the penalty averaged with choices",
        "_partial_fit.py",
        "column_penalty=None, alpha_rows=0, alpha_at=0",
        "column_penalty=None",
        "tests/test_partial_fit.py::test_a_number_given_before_has_no_say_in_what_is_chosen",
    ),
    Mutant(
        "number for the penalty of a fit averaged with choices",
        "_streaming.py",
        "n_rows if chosen else 0",
        "n_rows",
        "tests/test_partial_fit.py::test_a_number_given_before_has_no_say_in_what_is_chosen",
    ),
    Mutant(
        "penalty chosen by every block",
        "_partial_fit.py",
        "stream.n_rows < 2 * stream.alpha_at",
        "stream.n_rows < stream.alpha_at",
        "tests/test_partial_fit.py::test_the_penalty_is_chosen_by_blocks_and_averaged_by_their_rows",
    ),
    Mutant(
        "penalty of a stream as if a block were all of it",
        "_partial_fit.py",
        "total_weight=stream.x.weight",
        "total_weight=1.0",
        "tests/test_partial_fit.py::test_a_penalty_is_in_units_of_all_weights_so_far",
    ),
    Mutant(
        "warm-up one row too long",
        "_partial_fit.py",
        "learn = size if in_batches else len(y), stream.n_rows >= WARM_UP",
        "learn = size if in_batches else len(y), stream.n_rows > WARM_UP",
        "tests/test_partial_fit.py::test_until_enough_rows_have_come_the_mean_is_predicted",
    ),
    # What a fit reports, and to whom
    Mutant(
        "neurons at 0 counted as active",
        "_diagnosis.py",
        "(hidden > 0).any",
        "(hidden >= 0).any",
        "tests/test_diagnosis.py::test_dead_neurons_are_counted",
    ),
    Mutant(
        "deviations below the mean overlooked",
        "_diagnosis.py",
        "np.abs(rows).max(axis=0)",
        "rows.max(axis=0)",
        "tests/test_diagnosis.py::test_deviations_are_those_of_the_table",
    ),
    Mutant(
        "rare categories reported as outliers",
        "_diagnosis.py",
        "if len(found) > 2:",
        "if len(found) > 1:",
        "tests/test_diagnosis.py::test_a_value_far_out_is_reported_without_a_warning",
    ),
    Mutant(
        "conjugate gradient that gave up not told",
        "_diagnosis.py",
        'sum("not converged" in event for event in events)',
        'sum("converged not" in event for event in events)',
        "tests/test_diagnosis.py::test_troubles_are_counted_and_come_with_advice",
    ),
    Mutant(
        "callbacks that cannot stop a fit",
        "_callbacks.py",
        "stop = self._end_leaf(",
        "self._end_leaf(",
        "tests/test_callbacks.py::test_a_callback_can_stop_the_fit",
    ),
    Mutant(
        "callbacks without the weights of the rows",
        "_callbacks.py",
        'else {"sample_weight": sample_weight}',
        "else None",
        "tests/test_callbacks.py::test_scoring_monitor",
    ),
    Mutant(
        "last epoch of batches called a step on all rows",
        "_callbacks.py",
        'len(watch.training.history["objective"]) < watch.plan.steps_in_batches',
        'len(watch.training.history["objective"]) < watch.plan.steps_in_batches - 2',
        "tests/test_callbacks.py::test_every_epoch_and_step_is_a_task",
    ),
    Mutant(
        "export with the width of one member",
        "_export.py",
        "hidden_layer_sizes=(len(model.intercepts_[0]),)",
        "hidden_layer_sizes=(model.width,)",
        "tests/test_export.py::test_predictions_are_equal",
    ),
    Mutant(
        "export of a rate without its exponential",
        "_export.py",
        "mlp.out_activation_ = model.out_activation_",
        'mlp.out_activation_ = "identity"',
        "tests/test_export.py::test_poisson_is_exported_with_its_exponential",
    ),
    Mutant(
        "display without the first step",
        "_convergence_display.py",
        "np.arange(1, len(values) + 1), values,",
        "np.arange(len(values)), values,",
        "tests/test_convergence_display.py::test_curves_of_both_phases",
    ),
    Mutant(
        "worst network marked as the one kept",
        "_convergence_display.py",
        "np.argmin(self.validation_loss)",
        "np.argmax(self.validation_loss)",
        "tests/test_convergence_display.py::test_curves_of_both_phases",
    ),
    Mutant(
        "coverage of one-sided intervals",
        "_uncertainty_display.py",
        "np.minimum(norm.ppf(0.5 + level / 2)",
        "np.minimum(norm.ppf(level)",
        "tests/test_uncertainty_display.py::test_coverage_of_normal_errors",
    ),
    # The estimator's own arithmetic
    Mutant(
        "groups where a fit goes on as one network",
        "_fitting.py",
        "settings.alpha is None and resume is None",
        "settings.alpha is None",
        "tests/test_fitting.py::test_the_batch_size_that_is_taken",
    ),
    Mutant(
        "fits that go on under another loss",
        "_fitting.py",
        "        trainings[0].loss_function.name,\n",
        "        settings.loss_function.name,\n",
        "tests/test_fitting.py::test_a_fit_goes_on_from_one_of_the_same_shape_only",
    ),
    Mutant(
        "columns that vary after all with their first weights",
        "_fitting.py",
        "hidden[:, late] = 0",
        "hidden[:, np.flatnonzero(columns)] *= 1",
        "tests/test_fitting.py::test_a_column_that_varies_after_all_is_learnt_and_moves_nothing_at_first",
    ),
    Mutant(
        "interrupt between two members not told of",
        "_members.py",
        'outcomes[0].stop_reason = "interrupted"',
        "pass",
        "tests/test_faults.py::test_an_interrupt_of_any_member_ends_all_and_is_told",
    ),
    Mutant(
        "sketch of a matrix that is no taller",
        "_fast_regression.py",
        "if oversampling * n_columns >= n_rows:",
        "if oversampling * n_columns >= 2 * n_rows:",
        "tests/test_fast_regression.py::test_a_matrix_with_no_more_rows_than_its_sketch_is_factored_itself",
    ),
    Mutant(
        "steps on all rows that were not taken left out of the count",
        "_diagnosis.py",
        '(("step skipped", "rejected"))',
        '(("step skipped",))',
        "tests/test_diagnosis.py::test_a_fit_without_a_step_is_reported",
    ),
    Mutant(
        "members that start from one draw",
        "_fitting.py",
        "rng.spawn(n_members)\n",
        "[np.random.default_rng(0) for _ in range(n_members)]\n",
        "tests/test_fitting.py::test_the_first_networks_depend_on_the_seed_and_the_shape_only",
    ),
    Mutant(
        "neurons that let negative values through",
        "_regressor.py",
        "out[block] = np.maximum(hidden, 0, out=hidden)",
        "out[block] = np.abs(hidden)",
        "tests/test_export.py::test_predictions_are_equal",
    ),
    Mutant(
        "arithmetic mean of the members' penalties",
        "_regressor.py",
        "np.exp(np.mean(np.log(np.maximum(values, 1e-300)), axis=0))",
        "np.mean(values, axis=0)",
        "tests/test_members.py::test_penalty_is_the_geometric_mean",
    ),
    Mutant(
        "small predictions rounded to float32",
        "_regressor.py",
        "1e6 * float(info.tiny) < size",
        "0 < size",
        "tests/test_properties.py::test_predictions_beyond_float32_are_float64",
    ),
    # The sensitivity that the search for the penalty follows
    Mutant(
        "sensitivity as if every step were taken in full",
        "_groups.py",
        "self.sensitivity += step.dtype.type(length) * self._step_sensitivity",
        "self.sensitivity += self._step_sensitivity",
        "tests/test_penalty.py::test_the_sensitivity_is_the_derivative_of_the_trained_parameters",
    ),
    Mutant(
        "momentum missing in the sensitivity",
        "_groups.py",
        "drift = training.momentum * drift",
        "drift = 0.0 * drift",
        "tests/test_penalty.py::test_the_sensitivity_is_the_derivative_of_the_trained_parameters",
    ),
    Mutant(
        "penalty's own pull missing in the sensitivity",
        "_step.py",
        "self._shares * (self.theta + step + sensitivity)",
        "self._shares * (self.theta + step)",
        "tests/test_penalty.py::test_the_sensitivity_is_the_derivative_of_the_trained_parameters",
    ),
    Mutant(
        "promises too small to be trusted followed",
        "_penalty.py",
        "slope = max(0.0, slope - least) + min(0.0, slope + least)",
        "pass",
        "tests/test_penalty.py::test_a_promise_too_small_is_ignored",
    ),
    # The groups that the penalty of a small table is searched in
    Mutant(
        "all groups judged by the same rows",
        "_penalty.py",
        "_held_out(place, i / len(parts), share",
        "_held_out(place, 0, share",
        "tests/test_groups.py::test_every_row_of_a_small_table_judges_a_group_that_has_not_seen_it",
    ),
    Mutant(
        "sum of the groups instead of their mean",
        "_groups.py",
        "len(networks) ** -0.5",
        "1.0",
        "tests/test_groups.py::test_the_mean_of_the_groups_is_one_network_of_the_same_penalty",
    ),
    Mutant(
        "a neuron and its partner in different groups",
        "_groups.py",
        "[pair, pair + half, odd[: i == 0]]",
        "[2 * pair, 2 * pair + 1, odd[: i == 0]]",
        "tests/test_groups.py::test_groups_share_the_neurons_and_start_like_networks_of_their_width",
    ),
    Mutant(
        "events of all groups but the first forgotten",
        "_groups.py",
        'for event in entries["events"] if event)',
        'for event in entries["events"][:1] if event)',
        "tests/test_groups.py::test_the_history_tells_of_all_groups",
    ),
    Mutant(
        "penalty of one group for the mean of several",
        "_penalty.py",
        "self.alpha *= exp(-_FALL * self.share_of_differences())",
        "pass",
        "tests/test_groups.py::test_the_mean_takes_a_lower_penalty_the_more_the_groups_differ",
    ),
    Mutant(
        "difference from the mean of the other groups taken for their variance",
        "_penalty.py",
        "share = (1 - 1 / n_groups) * difference / error",
        "share = difference / error",
        "tests/test_groups.py::test_the_mean_takes_a_lower_penalty_the_more_the_groups_differ",
    ),
    Mutant(
        "damping left as it is on noisy tables",
        "_schedule.py",
        "search.suit_the_noise(inf if noisy else AUTO_DAMPING)",
        "search.suit_the_noise(AUTO_DAMPING)",
        "tests/test_penalty.py::test_noise_raises_the_damping_of_a_single_network_after_the_search",
    ),
    Mutant(
        "damping left as it is between cycles",
        "_cycles.py",
        "search.suit_the_noise(AUTO_DAMPING)",
        "pass",
        "tests/test_penalty.py::test_the_damping_falls_with_the_error_from_cycle_to_cycle",
    ),
    Mutant(
        "damping of a perfect fit where nobody judges",
        "_penalty.py",
        "if not self.weight or isnan(error):",
        "if isnan(error):",
        "tests/test_penalty.py::test_nobody_to_judge_leaves_the_damping_as_it_is",
    ),
    Mutant(
        "penalty of batches undone on all rows",
        "_schedule.py",
        "training.alpha *= penalty_factor(training, rows)",
        "pass",
        "tests/test_penalty.py::test_steps_on_all_rows_keep_to_what_batches_had_in_effect",
    ),
    Mutant(
        "penalty of all rows kept for what goes on",
        "_schedule.py",
        "        training.alpha = found\n",
        "        pass\n",
        "tests/test_penalty.py::test_steps_on_all_rows_keep_to_what_batches_had_in_effect",
    ),
    Mutant(
        "growth taken for a penalty in effect",
        "_penalty.py",
        "min(factor, _MOST_IN_EFFECT**2 / factor)",
        "min(factor, _MOST_IN_EFFECT)",
        "tests/test_penalty.py::test_a_network_that_still_grows_is_no_measure",
    ),
    # How the steps are divided
    Mutant(
        "second part as long for groups as for one network",
        "_plan.py",
        "steps = SETTLING_EPOCHS * n_batches // n_groups",
        "steps = SETTLING_EPOCHS * n_batches",
        "tests/test_plan.py::test_automatic_steps",
    ),
    Mutant(
        "groups on batches as large as those of one network",
        "_plan.py",
        "return in_groups if n_samples > size else size",
        "return size",
        "tests/test_training.py::test_automatic_batch_size",
    ),
    Mutant(
        "groups for the paper's network",
        "_plan.py",
        "if not train_output:",
        "if False:",
        "tests/test_groups.py::test_groups_are_added_until_two_thousand_rows_judge",
    ),
    Mutant(
        "steps on all rows whatever they cost",
        "_plan.py",
        "int(min(all_steps, settings.max_iter * batch_cost / all_cost))",
        "int(all_steps)",
        "tests/test_plan.py::test_steps_on_all_rows_are_left_out_where_they_cost_more_than_the_batches",
    ),
    Mutant(
        "patience before the search has ended",
        "_plan.py",
        "steps >= self.search_steps + self.batch_steps / 2",
        "steps >= self.batch_steps / 2",
        "tests/test_plan.py::test_patience_begins_in_the_middle_of_the_last_fall",
    ),
    # Tables on the workers of a cluster (needs the extra `dask`)
    Mutant(
        "weights of every block in a unit of its own",
        "dask/_blocks.py",
        "normalised_weights(block.weight, largest_weight)",
        "normalised_weights(block.weight)",
        "tests/test_dask.py::test_weights_of_all_blocks_are_in_one_unit",
    ),
    Mutant(
        "blocks of few rows sketched by what cannot draw them",
        "dask/_sketch.py",
        "if n_rows < sketch_size:",
        "if n_rows < 0:",
        "tests/test_dask.py::test_the_sketch_of_blocks_has_the_identity_as_its_mean",
    ),
    Mutant(
        "every block of a sample drawn alike",
        "dask/_blocks.py",
        "np.random.default_rng([*seed, index])",
        "np.random.default_rng(seed)",
        "tests/test_dask.py::test_blocks_of_a_sample_are_drawn_independently",
    ),
    Mutant(
        "mean predicted for the standard deviation",
        "dask/_predictions.py",
        'predicted[1] if part == "std"',
        'predicted[0] if part == "std"',
        "tests/test_dask.py::test_batches_run_on_a_sample_and_then_all_rows_count",
    ),
    Mutant(
        "rows that rounding leaves over lost",
        "dask/_raw_table.py",
        "sizes[largest] += 1",
        "pass",
        "tests/test_dask.py::test_the_sample_is_proportional_to_the_blocks",
    ),
    Mutant(
        "partial sums of sums not counted",
        "dask/_rounds.py",
        "n_sums += len(parts)",
        "pass",
        "tests/test_dask.py::test_rounds_are_counted",
    ),
    Mutant(
        "penalty of all rows in the weight of the sample",
        "dask/_table.py",
        "training.total_weight = self.weight",
        "pass",
        "tests/test_dask.py::test_a_penalty_is_in_units_of_all_rows_and_not_of_the_sample",
    ),
    Mutant(
        "residual left out of an inner product of rows",
        "dask/_table.py",
        "total += self.share * float(gradient @ other.vector)",
        "pass",
        "tests/test_dask.py::test_inner_products_of_row_vectors",
    ),
    Mutant(
        "copies that lose their client",
        "dask/_estimator.py",
        "twin.client = self.client",
        "twin.client = None",
        "tests/test_dask.py::test_copies_of_the_estimator",
    ),
    Mutant(
        "blocks of other rows not noticed",
        "dask/_inputs.py",
        "if X.chunks[0] != other.chunks[0]:",
        "if False:",
        "tests/test_dask.py::test_bad_collections_are_named_before_any_work",
    ),
    # Tables that are not a dense array in memory
    Mutant(
        "zeros of a sparse column without a variance",
        "_sparse.py",
        "variance += zeros * mean**2",
        "pass",
        "tests/test_sparse.py::test_moments_are_those_of_the_dense_table",
    ),
    Mutant(
        "zeros left at zero where they are standardised",
        "_sparse.py",
        "np.multiply(zeros, sqrt_weight[:, None]",
        "np.multiply(0 * zeros, sqrt_weight[:, None]",
        "tests/test_sparse.py::test_standardised_rows_have_the_bits_of_dense_ones",
    ),
    Mutant(
        "entries that occur twice not summed",
        "_sparse.py",
        "table.sum_duplicates()",
        "pass",
        "tests/test_sparse.py::test_entries_that_occur_twice_are_summed_and_the_table_is_left_alone",
    ),
    Mutant(
        "zeros of a sparse column never the farthest entry",
        "_sparse.py",
        "np.where(n_stored == n_rows, 0.0, np.abs(half))",
        "0.0 * half",
        "tests/test_sparse.py::test_diagnosis_is_that_of_the_dense_table",
    ),
    Mutant(
        "other rows of a file than those selected",
        "_tables.py",
        "self._table[self._index[index]]",
        "self._table[index]",
        "tests/test_training_data.py::test_a_file_is_fitted_like_the_array_to_the_last_bit",
    ),
    Mutant(
        "first weight taken for all of them",
        "_tables.py",
        "if weight.strides == (0,):",
        "if True:",
        "tests/test_sparse.py::test_weights_are_repetitions",
    ),
    # What the long profile of the properties and odd inputs found
    Mutant(
        "trouble reported of a constant target",
        "_schedule.py",
        " and not exact",
        "",
        "tests/test_robustness.py::test_constant_target_of_few_rows_is_no_trouble",
    ),
    Mutant(
        "network of rates continued as one of targets",
        "_streaming.py",
        'if estimator.out_activation_ != "identity":',
        "if False:",
        "tests/test_partial_fit.py::test_a_network_of_rates_does_not_go_on_as_one_of_targets",
    ),
    Mutant(
        "weights that overflowed kept",
        "_partial_fit.py",
        "    if not followed:",
        "    if False:",
        "tests/test_partial_fit.py::test_units_that_change_by_hundreds_of_orders_are_refused_or_followed",
    ),
]


def misplaced():
    """Return a line for every mutant whose text is not found exactly once."""
    counts = [
        ((ROOT / "sklearn_sketchgn" / mutant.module).read_text("utf-8").count(mutant.old), mutant)
        for mutant in MUTANTS
    ]
    return [f"{m.name}: {m.module} has {n} times {m.old!r}" for n, m in counts if n != 1]


def without_mutant():
    """Return the modules that compute something and have no mutant yet."""
    package = ROOT / "sklearn_sketchgn"
    modules = {path.relative_to(package).as_posix() for path in package.rglob("_[a-z]*.py")}
    names_only = {"_compat.py", "_settings.py", "solvers/_base.py"}
    return sorted(modules - names_only - {mutant.module for mutant in MUTANTS})


def run(tests, directory):
    """Return pytest's exit status and the first test that failed."""
    environment = {**os.environ, "PYTHONPATH": str(directory), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-rf", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    failed = re.search(r"^FAILED (\S+)", done.stdout, re.MULTILINE)
    if done.returncode not in (0, 1):
        print(done.stdout[-2000:], done.stderr[-2000:])
    return done.returncode, failed.group(1) if failed else ""


def main(words):
    """Run the mutants whose name or file contains one of the words; return the exit status."""
    chosen = [
        mutant
        for mutant in MUTANTS
        if not words or any(word in f"{mutant.name} {mutant.module}" for word in words)
    ]
    survivors = misplaced()
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        for name in ("sklearn_sketchgn", "tests"):
            shutil.copytree(
                ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        shutil.copy(ROOT / "pyproject.toml", directory)
        status, failed = run(sorted({mutant.test for mutant in chosen}), directory)
        if status != 0:
            print(f"the tests do not pass on the package as it is: {failed}")
            return 1
        for mutant in chosen:
            path = directory / "sklearn_sketchgn" / mutant.module
            original = path.read_text("utf-8")
            path.write_text(original.replace(mutant.old, mutant.new), "utf-8")
            status, failed = run([mutant.test], directory)
            path.write_text(original, "utf-8")
            print(f"{mutant.module}: {mutant.name} -> {failed or 'SURVIVED'}", flush=True)
            if status != 1:
                survivors.append(f"{mutant.name}: not caught by {mutant.test}")
    print(*survivors, sep="\n", end="\n" if survivors else "")
    print("modules without a mutant:", ", ".join(without_mutant()) or "none")
    print(f"{len(chosen)} mutants, {len(survivors)} survived or out of place")
    return int(bool(survivors))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
