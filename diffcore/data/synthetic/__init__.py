"""Data made by a formula from a seed, one kind a file.

Each function returns numpy arrays: floats in `dtype` (float32 by default), labels and tokens in int64. `seed` is an integer, a
`numpy.random.Generator`, or `None` for the shared one (see `manual_seed`); numbers are drawn in float64 and cast, so that one seed gives
the same data in every dtype. In the formulas `e` is standard normal.
"""

from diffcore.data.synthetic.language import character_text, next_tokens
from diffcore.data.synthetic.memory import adding_problem, copy_problem
from diffcore.data.synthetic.noise import noise_images
from diffcore.data.synthetic.objects import detection
from diffcore.data.synthetic.planar import blobs, spirals, two_moons, xor
from diffcore.data.synthetic.regression import linear_regression, logistic, polynomial, powers
from diffcore.data.synthetic.series import time_series, windows
from diffcore.data.synthetic.shapes import FIGURES, shapes

__all__ = [
    "FIGURES",
    "adding_problem",
    "blobs",
    "character_text",
    "copy_problem",
    "detection",
    "linear_regression",
    "logistic",
    "next_tokens",
    "noise_images",
    "polynomial",
    "powers",
    "shapes",
    "spirals",
    "time_series",
    "two_moons",
    "windows",
    "xor",
]
