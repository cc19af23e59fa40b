"""What a user's own sketch may get wrong, told before anything comes of it."""

import numpy as np


def draw_checked(sketch, sketch_size, n_rows, rng):
    """Return ``sketch.draw(...)`` after checking what a user's own sketch may get wrong."""
    drawn = sketch.draw(sketch_size, n_rows, rng)
    shape = tuple(getattr(drawn, "shape", None) or ())
    in_parts = getattr(sketch, "in_parts", False)
    if shape != (sketch_size, n_rows) or not (in_parts or hasattr(drawn, "__matmul__")):
        raise ValueError(
            f"{sketch!r}.draw({sketch_size}, {n_rows}, rng) returned an object of shape {shape}; "
            f"expected shape ({sketch_size}, {n_rows}) and an operator @. Correct the `sketch` "
            "strategy."
        )
    if in_parts:
        return drawn
    made = drawn @ np.ones((n_rows, 2))  # little work beside the products that follow
    if type(made) is not np.ndarray or made.shape != (sketch_size, 2) or made.dtype.kind != "f":
        raise ValueError(
            f"What {sketch!r}.draw({sketch_size}, {n_rows}, rng) returned makes of two columns "
            f"{type(made).__name__} of shape {np.shape(made)}; expected an array of real numbers "
            f"of shape ({sketch_size}, 2). Correct the `sketch` strategy."
        )
    return drawn


def sketch_error(sketched, sketch):
    """Return a ValueError about a sketch that is useless for a finite matrix that is not zero."""
    found = "only zeros" if np.isfinite(sketched).all() else "NaN or infinite values"
    return ValueError(
        f"{sketch!r} gave {found} for a finite matrix that is not zero; "
        "E[S'S] must be the identity. Correct the `sketch` strategy."
    )
