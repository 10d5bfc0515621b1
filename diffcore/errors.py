"""The exceptions of diffmodes.

    DiffError
    ├── ShapeError           (ValueError, RuntimeError)   operands whose shapes do not fit
    ├── ArgumentError        (ValueError, RuntimeError)   an argument whose value is out of its range
    ├── DTypeError           (TypeError, RuntimeError)    an element type the op cannot work with
    ├── GradientError        (RuntimeError)               a derivative that was asked for in the wrong way
    │   └── CheckpointError                           a checkpointed function that did something else when it was recomputed
    ├── DeviceError          (RuntimeError)               a device that is not there
    ├── StateError           (RuntimeError)               names or shapes of parameters that do not fit a network
    ├── FormatError          (ValueError)                 a file that is torn, or not of the format it should be
    ├── AbstractValueError   (TypeError)                  a value was read off an array that has none
    ├── UnknownCostError     (TypeError)                  an array function without a shape and cost rule
    ├── MemoryBudgetError    (ValueError)                 a budget below the least that would do
    ├── AnomalyError         (RuntimeError)               a NaN or infinity, found by anomaly detection
    └── LinAlgError          (numpy.linalg.LinAlgError, RuntimeError)   a matrix that is singular or not positive-definite

Each also derives from the built-in class that PyTorch or NumPy raises there, so that code written for them catches it.
"""

import numpy as np


class DiffError(Exception):
    """Base of everything diffmodes raises on purpose."""


class ShapeError(DiffError, ValueError, RuntimeError):
    """Operands whose shapes do not fit. The message names the op, both shapes and the likely fix."""


class ArgumentError(DiffError, ValueError, RuntimeError):
    """An argument whose value is out of its range, for instance a negative standard deviation."""


class DTypeError(DiffError, TypeError, RuntimeError):
    """An element type the op cannot work with, for instance a gradient of an integer tensor."""


class GradientError(DiffError, RuntimeError):
    """A derivative asked for in the wrong way: no history, a freed graph, a missing cotangent."""


class CheckpointError(GradientError):
    """A checkpointed function that did something else when it was recomputed; the message names the operation."""


class DeviceError(DiffError, RuntimeError):
    """A device that does not exist here; the message lists those that do."""


class StateError(DiffError, RuntimeError):
    """Parameters by name that do not fit a network; the message lists all that is missing, unexpected or misshapen."""


class FormatError(DiffError, ValueError):
    """A file that is torn, damaged, or not of the format it should be. The message names the file and what is wrong with it."""


class AbstractValueError(DiffError, TypeError):
    """A value was read off an abstract array, which has a shape and a dtype but no data."""


class UnknownCostError(DiffError, TypeError):
    """An array function that has no shape and cost rule was called on an abstract array."""


class MemoryBudgetError(DiffError, ValueError):
    """A memory budget that cannot be kept. `least` is the number of bytes that would do."""

    def __init__(self, message: str, least: int) -> None:
        super().__init__(message)
        self.least = least


class AnomalyError(DiffError, RuntimeError):
    """An operation made a NaN or an infinity while anomaly detection was on; the message names it and its line."""


class LinAlgError(DiffError, np.linalg.LinAlgError, RuntimeError):
    """A matrix that cannot be inverted, solved with or factored, because it is singular or not positive-definite.

    Traced matrices (under `jax.jit`) have no values to look at: there the result is infinite or NaN.
    """
