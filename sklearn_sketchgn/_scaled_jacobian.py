"""A Jacobian whose rows are multiplied by the root of the curvature of a loss."""

from scipy.sparse import csr_array

from ._jacobian import Jacobian
from ._row_sketch import optional_form


class ScaledJacobian(Jacobian):
    """diag(c) J for a structured Jacobian J and one number a row.

    The factor cannot go into the rows of the table, as it differs between outputs.

    Parameters
    ----------
    jacobian : Jacobian
        J.
    factor : ndarray of shape (n_samples * n_outputs,)
        c >= 0, output by output.
    """

    def __init__(self, jacobian, factor):
        self.__dict__.update(jacobian.__dict__)
        self._unscaled, self.outputs_alike = jacobian, False
        self.factor = factor.astype(self.dtype)

    def lower_gram(self):
        """Return the lower triangle of diag(c) J J' diag(c) (Fortran order)."""
        return self._scaled(super().lower_gram())

    def sketched_gram(self, neuron_sketch):
        """Return diag(c) G~ diag(c) for the sketched G~ of J; see :class:`Jacobian`."""
        return self._scaled(super().sketched_gram(neuron_sketch))

    def sketched_columns(self, neuron_sketch):
        """Return M diag(c) for the M of J; see :class:`Jacobian`."""
        return super().sketched_columns(neuron_sketch) * self.factor

    def sketched_rows(self, sample_sketch):
        """Return S diag(c) J."""
        return self._unscaled.sketched_rows(_ScaledSketch(sample_sketch, self.factor))

    def _scale(self, values, block=slice(None)):
        return self.factor.reshape(self.n_outputs, -1)[:, block] * values

    def dense_rows(self, rows, output):
        factor = self.factor.reshape(self.n_outputs, -1)[output, rows]
        return factor[:, None] * super().dense_rows(rows, output)

    def _scaled(self, gram):
        gram *= self.factor
        gram *= self.factor[:, None]
        return gram


class _ScaledSketch:
    """S diag(c)."""

    def __init__(self, sketch, factor):
        self.sketch, self.factor, self.shape = sketch, factor, sketch.shape

    def __matmul__(self, table):
        return self.sketch @ (self.factor[:, None] * table)

    def to_sparse(self, dtype):
        scaled = optional_form(self.sketch, "to_sparse", dtype)
        if scaled is None:
            return None
        # Not in place: it may be what the sketch holds.
        data = scaled.data * self.factor[scaled.indices]
        return csr_array((data, scaled.indices, scaled.indptr), shape=scaled.shape)

    def column_blocks(self, dtype):
        pieces = optional_form(self.sketch, "column_blocks", dtype)
        if pieces is None:
            return None
        return ((start, piece * self.factor[start:][: piece.shape[1]]) for start, piece in pieces)
