"""What both engines share: arrays, kernels with their derivative rules, dispatch, the op surface, layers, data and the ledger.

Imports neither engine; the engines (`revdiff`, `dualdiff`) import it, `compare` imports all three.
"""

__version__ = "0.1.0"
