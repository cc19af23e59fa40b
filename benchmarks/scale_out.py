"""Steps on all rows on 1 and 2 workers: seconds, rounds, bytes; and the model that predicts them.

    python benchmarks/scale_out.py --out scale_out.json

Starts a cluster of processes on this machine for each number of workers, with one thread each, and
takes the same steps from the same start; the answers must agree. The constants of the cost model
are measured apart from the steps: empty rounds on one worker, large rounds on one worker, and the
work on one block in this process. They predict the steps, and plan larger clusters.
docs/scaling.md states the model and its assumptions.
"""

import argparse
import time
import warnings
from dataclasses import asdict, dataclass, replace
from math import ceil, log2

import dask.array as da
import numpy as np
from _environment import environment
from _records import write
from distributed import Client, LocalCluster, wait
from sklearn.exceptions import ConvergenceWarning

from sklearn_sketchgn import CG, CountSketch, _schedule
from sklearn_sketchgn._losses import SquaredError
from sklearn_sketchgn._network import initialise
from sklearn_sketchgn.dask import DaskSketchGNRegressor, _blocks
from sklearn_sketchgn.dask._rounds import BRANCHES, Rounds

# Operations of a round for each row, neuron and input (the column of ones among them). J'J v: the
# activations, J v and J'u, each a product. A trial: the activations before and after, and J'r.
# The sketch: the columns of J, and 8 additions each.
OPERATIONS = {"products": 6, "trials": 6, "matrices": 9}

# Bytes of the vector that measures the bandwidth, and repetitions of everything that is timed.
LARGE, REPEATS = 8e6, 5

# For the plan: bytes a second between machines (10 gigabits a second, less what is lost).
NETWORK = 1e9


@dataclass(frozen=True)
class Problem:
    """n rows of d inputs in blocks, m neurons."""

    n: int
    d: int
    m: int
    n_blocks: int

    @property
    def n_parameters(self):
        return self.m * (self.d + 2) + 1

    @property
    def sketch_size(self):
        few = 4 * self.n_parameters**2 * 8 > 256 * 2**20
        return (2 if few else 4) * self.n_parameters


@dataclass(frozen=True)
class Constants:
    """Seconds of an empty round of one block, seconds a task, bytes and operations a second."""

    latency: float
    per_task: float
    bandwidth: float
    rates: dict


# The model ----------------------------------------------------------------------------------------


def round_seconds(kind, problem, workers, constants):
    """Return the predicted seconds of one round."""
    rows = problem.n / problem.n_blocks * ceil(problem.n_blocks / workers)
    work = OPERATIONS[kind] * rows * problem.m * (problem.d + 1) / constants.rates[kind]
    vector = 8 * problem.n_parameters
    sent = 0 if kind == "matrices" else vector
    returned = vector * (problem.sketch_size if kind == "matrices" else 1)
    # Client, scheduler, worker, and on from worker to worker; back through the tree of sums.
    moved = sent * (2 + ceil(log2(workers))) + returned * (2 + moves(workers))
    overhead = constants.latency + constants.per_task * (n_tasks(problem.n_blocks) - n_tasks(1))
    return overhead + moved / constants.bandwidth + work


def n_tasks(n_blocks):
    """Return the tasks of a round: the shared vector, the blocks, the sums."""
    tasks = 1 + n_blocks
    while n_blocks > 1:
        n_blocks = ceil(n_blocks / BRANCHES)
        tasks += n_blocks
    return tasks


def moves(workers):
    """Return how many partial sums move one after the other, if blocks of a worker are adjacent."""
    in_turn = 0
    while workers > 1:
        in_turn += min(workers, BRANCHES) - 1
        workers = ceil(workers / BRANCHES)
    return in_turn


def phase_seconds(rounds, problem, workers, constants):
    """Return the predicted seconds of so many rounds of each kind."""
    return sum(
        count * round_seconds(kind, problem, workers, constants) for kind, count in rounds.items()
    )


# Its constants ------------------------------------------------------------------------------------


def measure_constants(client, problem):
    """Return the :class:`Constants`: rounds on one worker, and work on a block, by that worker.

    In this process the same work may be several times as fast: Dask starts its workers with a
    setting of the allocator that returns every temporary array to the system at once.
    """
    blocks = client.map(float, range(problem.n_blocks), pure=False)
    wait(blocks)
    one = best(Rounds(client, blocks[:1], [0]), 8)
    all_blocks = best(Rounds(client, blocks, list(range(problem.n_blocks))), 8)
    large = best(Rounds(client, blocks[:1], [0]), LARGE)
    more_tasks = n_tasks(problem.n_blocks) - n_tasks(1)
    return Constants(
        latency=one,
        per_task=max(all_blocks - one, 0.0) / more_tasks,
        bandwidth=4 * LARGE / (large - one),
        rates=client.submit(measure_rates, problem, pure=False).result(),
    )


def best(rounds, n_bytes):
    """Return the seconds of a round that only sends and returns so many bytes."""
    vector, seconds = np.zeros(int(n_bytes) // 8), []
    for _ in range(REPEATS):
        start = time.perf_counter()
        rounds.total(echo, "products", vector=rounds.share(vector, "products", vector.nbytes))
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def echo(block, number, *, vector):
    return vector


def measure_rates(problem):
    """Return the operations a second of each kind of round on one block, by one thread."""
    n = min(problem.n // problem.n_blocks, 2**23 // problem.m)
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.standard_normal((n, problem.d)), np.ones((n, 1))], axis=1)
    block = _blocks.Rows(rows, rng.standard_normal((n, 1)), np.ones(n))
    network = initialise(problem.m, problem.d + 1, 1, rng)
    shared = {"network": network, "loss_function": SquaredError()}
    sketch = {"sketch": CountSketch(), "sketch_size": problem.sketch_size, "seed": [0]}
    calls = {
        "products": lambda: _blocks.normal_product(block, 0, vector=network.parameters(), **shared),
        "trials": lambda: _blocks.look(block, 0, before=network, **shared),
        "matrices": lambda: _blocks.sketched_rows(block, 0, **sketch, **shared),
    }
    rates = {}
    for kind, call in calls.items():
        seconds = []
        for _ in range(2 if kind == "matrices" else REPEATS):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        operations = OPERATIONS[kind] * n * problem.m * (problem.d + 1)
        rates[kind] = operations / float(np.median(seconds))
    return rates


# The steps ----------------------------------------------------------------------------------------


def fit(client, problem, n_steps):
    """Take the steps; return the predictions on a few rows and what was measured."""
    random = da.random.default_rng(0)
    chunk = problem.n // problem.n_blocks
    X = random.standard_normal((problem.n, problem.d), chunks=(chunk, problem.d)).persist()
    y = da.sin(X[:, 0] + X[:, 1]) + 0.3 * X[:, 2] * X[:, 3]
    wait(X)
    seconds, lasted, before = {}, [], (Rounds.total, _schedule.run_all_rows)

    def timed_total(rounds, function, kind, **shared):
        start = time.perf_counter()
        result = before[0](rounds, function, kind, **shared)
        seconds.setdefault(kind, []).append(time.perf_counter() - start)
        return result

    def timed_phase(training, data, **options):
        wait(data.rounds.blocks)
        sent = sum(client.run(bytes_sent).values())
        start = time.perf_counter()
        reason = before[1](training, data, **options)
        lasted.append(time.perf_counter() - start)
        lasted.append(sum(client.run(bytes_sent).values()) - sent)
        return reason

    Rounds.total, _schedule.run_all_rows = timed_total, timed_phase
    try:
        model = DaskSketchGNRegressor(
            problem.m,
            client=client,
            sample_size=2048,
            solver=CG(tol=1e-3),
            alpha=1.0,
            batch_size=None,
            max_iter=n_steps,
            tol=0,
            random_state=0,
        ).fit(X, y)
    finally:
        Rounds.total, _schedule.run_all_rows = before
    rows = np.random.default_rng(1).standard_normal((100, problem.d))
    return model.predict(rows), {
        "seconds": lasted[0],
        "bytes_between_workers_and_to_client": lasted[1],
        "steps": model.n_iter_,
        "cg_iterations": model.history_["cg_iterations"],
        "median_seconds_of_a_round": {k: float(np.median(v)) for k, v in seconds.items()},
        "communication": model.communication_,
    }


def bytes_sent(dask_worker):
    return dask_worker.transfer_outgoing_bytes_total


def report(problem, constants, measured):
    """Print measured and predicted seconds; return the predictions."""
    found = {}
    print("\n| workers | seconds | predicted | ratio | a step | rounds | MB counted | MB sent |")
    print("|---|---|---|---|---|---|---|---|")
    for workers, entry in measured.items():
        counts = entry["communication"]
        rounds = {kind: c["rounds"] for kind, c in counts["by_kind"].items()}
        predicted = phase_seconds(rounds, problem, workers, constants)
        found[workers] = {
            "seconds": predicted,
            "rounds": {k: round_seconds(k, problem, workers, constants) for k in rounds},
        }
        counted = (counts["bytes_in"] + counts["bytes_out"]) / 1e6
        print(
            f"| {workers} | {entry['seconds']:.2f} | {predicted:.2f} | "
            f"{predicted / entry['seconds']:.2f} | {entry['seconds'] / entry['steps']:.2f} | "
            f"{counts['rounds']} | {counted:.1f} | "
            f"{entry['bytes_between_workers_and_to_client'] / 1e6:.1f} |"
        )
        for kind, value in entry["median_seconds_of_a_round"].items():
            expected = found[workers]["rounds"][kind]
            print(f"    {kind}: {value:.4f} s a round, predicted {expected:.4f}")
    return found


def plan(constants, products):
    """Print and return predicted steps for a billion rows; a worker is one thread."""
    print(f"\nA billion rows, 30 inputs, width 256, {products} products a step:")
    print(
        "| workers | s a product | of it not work | s a step | s for the sketch | GB of rows each |"
    )
    print("|---|---|---|---|---|---|")
    entries = {}
    for workers in (16, 64, 256):
        problem = Problem(10**9, 30, 256, workers)
        product, trial, matrix = (
            round_seconds(kind, problem, workers, constants) for kind in OPERATIONS
        )
        work = 6 * problem.n / workers * 256 * 31 / constants.rates["products"]
        step = products * product + trial
        held = 8 * problem.n * 32 / workers / 1e9
        entries[workers] = {"product": product, "step": step, "sketch": matrix}
        print(
            f"| {workers} | {product:.2f} | {1 - work / product:.1%} | {step:.0f} | {matrix:.0f} | "
            f"{held:.1f} |"
        )
    return {"constants": asdict(constants), "workers": entries}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", help="JSON file to write")
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--steps", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    problem, measured, answers = Problem(options.rows, 20, 64, 4), {}, []
    for workers in (1, 2):
        with (
            LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0"
            ) as cluster,
            Client(cluster) as client,
        ):
            fit(client, Problem(8000, 20, 64, 4), 1)  # imports and first calls
            if workers == 1:
                constants = measure_constants(client, problem)
                wide = Problem(2**20, 30, 256, 8)
                wide_rates = client.submit(measure_rates, wide, pure=False).result()
            answer, measured[workers] = fit(client, problem, options.steps)
            answers.append(answer)
    np.testing.assert_allclose(answers[1], answers[0], rtol=1e-9)
    print(f"{problem}, {problem.n_parameters} parameters\n{constants}")
    predictions = report(problem, constants, measured)
    last = measured[1]["communication"]["by_kind"]["products"]["rounds"]
    planned = plan(
        replace(constants, bandwidth=NETWORK, rates=wide_rates),
        ceil(last / measured[1]["steps"]),
    )
    if options.out:
        result = {
            "environment": environment([options.out]),
            "problem": asdict(problem),
            "constants": asdict(constants),
            "measured": measured,
            "predicted": predictions,
            "plan": planned,
        }
        write(options.out, result)


if __name__ == "__main__":
    main()
