"""Lines printed while a fit runs (``verbose``)."""


class Reporter:
    """Prints one aligned line an epoch or a step on all rows."""

    HEADER = f"{'step':>6} {'loss':>12} {'validation':>12} {'alpha':>9} {'damping':>9} {'cg':>4}"

    def __call__(self, watch):
        """Print the state of a fit; the header comes with the first line."""
        history = watch.training.history
        steps = len(history["objective"])
        if steps == 0:
            print(self.HEADER)
        validation = f"{watch.validation_losses[-1]:12.5g}" if watch.validation_losses else " " * 12
        iterations = history["cg_iterations"][-1] if steps else 0
        print(
            f"{steps:6d} {watch.losses[-1]:12.5g} {validation} {watch.training.alpha:9.3g} "
            f"{watch.training.damping:9.3g} {iterations:4d}"
        )
