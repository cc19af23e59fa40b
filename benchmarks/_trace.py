"""The course of one fit: steps, seconds and an error, with the clock held while it is computed."""

import time

# An error is computed at every step up to 50, then whenever the number of steps has grown by this.
_SPACING = 0.02


class OutOfBudget(Exception):
    """The fit has used its seconds."""


class Trace:
    """Notes of one fit, for at most `budget` seconds of processor time.

    `seconds` are those of this process's threads together, which a busy machine changes little;
    `wall` are those that passed. Neither holds the time in which an error was computed.
    """

    def __init__(self, budget):
        self.budget = budget
        self.steps, self.seconds, self.wall, self.errors = [], [], [], []

    def start(self):
        self._due, self._cpu, self._wall = 1, time.process_time(), time.perf_counter()

    def note(self, step, error, last=False):
        """Note a step; `error` is called, off the clock, where one is due, and at the last."""
        cpu, wall = time.process_time(), time.perf_counter()
        spent = cpu - self._cpu
        if (step < self._due and spent <= self.budget and not last) or step in self.steps[-1:]:
            return
        self.add(step, spent, wall - self._wall, error())
        self._due = max(step + 1, int((1 + _SPACING) * step))
        self._cpu += time.process_time() - cpu
        self._wall += time.perf_counter() - wall
        if spent > self.budget:
            raise OutOfBudget

    def add(self, step, seconds, wall, error):
        self.steps.append(int(step))
        self.seconds.append(seconds)
        self.wall.append(wall)
        self.errors.append(float(error))

    def record(self):
        return {
            "steps": self.steps,
            "seconds": self.seconds,
            "wall": self.wall,
            "errors": self.errors,
        }


def first_time(record, target, clock="seconds"):
    """Return when the error was first at most `target`, infinity if it never was."""
    reached = [t for t, e in zip(record[clock], record["errors"], strict=True) if e <= target]
    return min(reached, default=float("inf"))
