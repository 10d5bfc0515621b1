"""Data sets and loaders, written once; arrays in, arrays out, so that one batch serves both engines.

Real data, as pairs of inputs (float64) and targets:

    load_digits() -> [1797, 64] in [0, 1], int64 [1797]       10 classes (images of 8x8)
    load_iris() -> [150, 4], int64 [150]                      3 classes
    load_wine() -> [178, 13], int64 [178]                     3 classes
    load_breast_cancer() -> [569, 30], int64 [569]            2 classes
    load_diabetes(scaled=True) -> [442, 10], float64 [442]    regression
    load_linnerud() -> [20, 3], float64 [20, 3]               regression of three targets

Files: `load_csv(path, target)`, `load_idx(folder, train=True)` (MNIST and Fashion-MNIST: float32 [n, 1, 28, 28] in [0, 1], int64 [n]),
`read_idx`, `write_idx`. `Standardizer().fit(train).transform(test)`; `check_finite(array, name)`.

`synthetic`, seeded (each also takes `dtype=float32` where it makes floats, and `seed=None`, keyword only):

    linear_regression(n=1000, features=2, *, weight, bias=4.2, noise=0.01) -> [n, features], [n, 1]
    polynomial(n=200, coefficients=(5, 1.2, -3.4, 5.6), *, noise=0.1) -> [n, 1], [n, 1];  powers(x, degree) -> [n, degree + 1]
    logistic(n=1000, features=2, *, weight, bias=0) -> [n, features], int64 [n]
    xor(n=200, *, noise=0.1), two_moons(n=200, *, noise=0.1) -> [n, 2], int64 [n]
    spirals(n=300, classes=2, *, turns=1, noise=0.02) -> [n, 2], int64 [n]
    blobs(n=300, classes=3, features=2, *, centers, noise=1) -> [n, features], int64 [n]
    time_series(n=1000, *, period=100, noise=0.2) -> [n];  windows(series, length=4, horizon=1) -> [m, length, channels], [m, channels]
    character_text(length=10000) -> str;  Vocabulary(text).encode(text) -> int64 [n];  next_tokens(tokens, steps=32) -> two of [m, steps]
    copy_problem(n=1000, length=10, delay=20, symbols=8) -> two of int64 [n, 2 length + delay], of symbols + 2 tokens
    adding_problem(n=1000, length=50) -> [n, length, 2], [n, 1]
    shapes(n=1000, size=32, channels=1, classes=4, *, noise=0.1) -> [n, channels, size, size] in [0, 1], int64 [n]
    detection(n=1000, size=64, channels=3, classes=3, objects=3, *, noise=0.05) -> [n, channels, size, size], boxes [n, objects, 5]
    noise_images(n=16, shape=(3, 224, 224), classes=1000) -> [n, *shape], int64 [n]

Boxes: `encode_boxes(boxes, cells, classes)` -> `[n, 5 + classes, cells, cells]`, `decode_boxes(grid)`, `box_iou(a, b)`.
"""

from diffcore.data import synthetic
from diffcore.data.boxes import box_iou, decode_boxes, encode_boxes
from diffcore.data.checking import check_finite
from diffcore.data.collating import default_collate
from diffcore.data.dataset import ChainDataset, ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset
from diffcore.data.loader import DataLoader
from diffcore.data.sampling import BatchSampler, RandomSampler, Sampler, SequentialSampler, SubsetRandomSampler, WeightedRandomSampler
from diffcore.data.scaling import Standardizer
from diffcore.data.sources import (
    load_breast_cancer,
    load_csv,
    load_diabetes,
    load_digits,
    load_idx,
    load_iris,
    load_linnerud,
    load_wine,
    read_idx,
    write_idx,
)
from diffcore.data.splitting import KFold, StratifiedKFold, random_split
from diffcore.data.vocabulary import Vocabulary

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "KFold",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Standardizer",
    "StratifiedKFold",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "Vocabulary",
    "WeightedRandomSampler",
    "box_iou",
    "check_finite",
    "decode_boxes",
    "default_collate",
    "encode_boxes",
    "load_breast_cancer",
    "load_csv",
    "load_diabetes",
    "load_digits",
    "load_idx",
    "load_iris",
    "load_linnerud",
    "load_wine",
    "random_split",
    "read_idx",
    "synthetic",
    "write_idx",
]
