"""Kernels in C++ for inference on a CPU: compiled, found and chosen here.

Where none can be had, everything works through torch's operators.
"""

from tokenexit.kernels.library import Library, library, status
from tokenexit.kernels.matrix import ACTIVATIONS, KINDS, Matrix

__all__ = ["ACTIVATIONS", "KINDS", "Library", "Matrix", "library", "status"]
