"""Tell scikit-learn's callbacks (1.9 and later) of every epoch and every step on all rows."""


class CallbackObserver:
    """Runs the hooks of an estimator's callbacks around the epochs and steps of a fit.

    The tree of tasks is the fit with one leaf for each epoch of batches or accepted step on all
    rows. Hooks that ask for ``fitted_estimator`` get a copy as it were if the fit ended at
    that moment (of the first member, if there are several), but without standard deviations.

    Parameters
    ----------
    estimator : SketchGNRegressor
        Being fitted; all that ``predict`` needs besides weights and bounds is in place.
    given : tuple of (X, y, sample_weight)
        What the user passed to ``fit``.
    so_far : callable
        Given the :class:`Watch`, returns the attributes of that copy.
    """

    def __init__(self, estimator, given, so_far):
        X, y, sample_weight = given
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._arguments = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self._so_far = so_far
        self._used = bool(getattr(estimator, "_skl_callbacks", None))
        self._root = self._leaf = None
        self._n_left = 0

    def __call__(self, watch):
        """End the task that is running, begin the next; return whether a callback says stop."""
        if not self._used:
            return False
        stop = False
        if self._root is None:
            self._n_left = watch.plan.n_notes
            estimator = self._arguments["estimator"]
            self._root = estimator._init_callback_context(max_subtasks=self._n_left)
            self._root.call_on_fit_task_begin(**self._arguments)
        else:
            stop = self._end_leaf(lambda: self._so_far(watch))
        if self._n_left and not stop:
            self._n_left -= 1
            in_batches = len(watch.training.history["objective"]) < watch.plan.steps_in_batches
            name = "epoch of batches" if in_batches else "step on all rows"
            self._leaf = self._root.subcontext(task_name=name)
            self._leaf.call_on_fit_task_begin(**self._arguments)
        return stop

    def close(self):
        """End the tasks that are left, when the fitted attributes are in place."""
        self._end_leaf(None)
        if self._root is not None:
            self._root.call_on_fit_task_end(**self._arguments, reconstruction_attributes={})

    def _end_leaf(self, state):
        leaf, self._leaf = self._leaf, None
        if leaf is None:
            return False
        return leaf.call_on_fit_task_end(**self._arguments, reconstruction_attributes=state)
