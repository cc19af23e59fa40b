"""Solvers of the damped least-squares problem of one step."""

from ._auto import Auto
from ._base import Solver, SolveResult
from ._cg import CG
from ._direct import Direct

SOLVERS = {"auto": Auto, "cg": CG, "direct": Direct}

__all__ = ["CG", "Auto", "Direct", "SolveResult", "Solver"]
