"""Lines printed while a fit runs (``verbose``)."""

from time import perf_counter


class Reporter:
    """Prints one aligned line an epoch or a step on all rows.

    The time left is for all steps that are planned; a fit may end before.
    """

    HEADER = (
        f"{'step':>6} {'loss':>11} {'validation':>11} {'objective':>11} {'alpha':>9} "
        f"{'damping':>9} {'cg':>4} {'left':>7}"
    )

    def __call__(self, watch):
        """Print the state of a fit; the header comes with the first line."""
        history = watch.training.history
        steps = len(history["objective"])
        left = ""
        if steps == 0:
            self._start = perf_counter()
            print(self.HEADER)
        else:
            left = _duration((perf_counter() - self._start) * _remaining(watch.plan, steps))
        validation = f"{watch.validation_losses[-1]:.5g}" if watch.validation_losses else ""
        objective = f"{history['objective'][-1]:.5g}" if steps else ""
        iterations = history["cg_iterations"][-1] if steps else 0
        iterations = iterations or ""  # where it did not run
        print(
            f"{steps:6d} {watch.losses[-1]:11.5g} {validation:>11} {objective:>11} "
            f"{watch.training.alpha:9.3g} {watch.training.damping:9.3g} {iterations:>4} {left:>7}"
        )


def _remaining(plan, steps):
    """Return the work left as a multiple of the work done."""
    done = plan.share_done(steps)
    return (1 - done) / done


def _duration(seconds):
    """Return a number of seconds as text: 4.2s, 3m07s, 2h15m."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    return f"{minutes // 60}h{minutes % 60:02d}m"
