"""Rounds of communication: a vector goes out to all blocks, one sum over the blocks comes back."""

from threading import Lock

from distributed import Client, default_client

#: Partial sums that one task adds up.
BRANCHES = 8


def running_client(client):
    """Return the client, or the default one for None, after checking that it is connected.

    Raises
    ------
    RuntimeError
        If there is none, or it is closed or has lost its scheduler.
    """
    if client is None:
        try:
            client = default_client()
        except ValueError as error:
            raise RuntimeError(
                "client=None, and there is no default client; start one, for example by "
                "client = distributed.Client(), or pass it as `client`."
            ) from error
    if not isinstance(client, Client):
        raise TypeError(
            f"`client` must be a distributed.Client or None; got {type(client).__name__}."
        )
    if client.status != "running":
        raise RuntimeError(
            f"The client is not connected to a scheduler: its status is {client.status!r}; "
            "expected 'running'. Connect a new one and pass it as `client`."
        )
    return client


class Rounds:
    """Sums over the blocks of a table, and how much was sent for them.

    Partial sums are added in a tree, in the order of the blocks: the sum has the same bits wherever
    the blocks are. All that a task needs is an argument of a task itself, never scattered: what a
    lost worker held is computed again.

    Parameters
    ----------
    client : distributed.Client
        Connected.
    blocks : list of Future
        The blocks.
    numbers : list of int
        Their numbers, which tasks get with them.

    Attributes
    ----------
    counts : dict of str to dict
        By kind of round: ``rounds``, ``bytes_out`` (each shared array once a worker) and
        ``bytes_in`` (each partial sum once, as if every one of them left its worker).
    """

    def __init__(self, client, blocks, numbers):
        self.client, self.blocks, self.numbers = client, blocks, numbers
        self.counts: dict[str, dict[str, int]] = {}
        self._n_workers = max(1, len(client.ncores()))
        self._lock = Lock()

    def share(self, value, kind, n_bytes):
        """Send a value to the cluster, once, and return the future that stands for it."""
        self._count(kind, bytes_out=n_bytes * self._n_workers)
        return self.client.submit(_identity, value, pure=False)

    def total(self, function, kind, **shared):
        """Return the sum over the blocks of ``function(block, number, **shared)``, in one round."""
        parts = self.client.map(function, self.blocks, self.numbers, pure=False, **shared)
        n_sums = len(parts)
        while len(parts) > 1:
            groups = [parts[i : i + BRANCHES] for i in range(0, len(parts), BRANCHES)]
            parts = self.client.map(_add, groups, pure=False)
            n_sums += len(parts)
        result = parts[0].result()
        self._count(kind, rounds=1, bytes_in=n_sums * result.nbytes)
        return result

    def report(self):
        """Return the counts of all kinds together and by kind, and what they depend on."""
        totals = {
            name: sum(entry[name] for entry in self.counts.values())
            for name in ("rounds", "bytes_out", "bytes_in")
        }
        sizes = {"n_blocks": len(self.blocks), "n_workers": self._n_workers}
        return {**totals, **sizes, "by_kind": self.counts}

    def _count(self, kind, **amounts):
        with self._lock:
            entry = self.counts.setdefault(kind, {"rounds": 0, "bytes_out": 0, "bytes_in": 0})
            for name, amount in amounts.items():
                entry[name] += amount


def _identity(value):
    return value


def _add(parts):
    total = parts[0].copy(order="K")
    for part in parts[1:]:
        total += part
    return total
