"""The real data sets that ship with scikit-learn: inputs and targets as arrays, nothing to download.

Features are in the units they were published in unless a function says otherwise. All floats are float64, all labels int64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcore.data.checking import check_finite, check_lengths

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def _pair(name: str, target: type, **options: Any) -> tuple[Any, Any]:
    """Inputs and targets of `sklearn.datasets.load_<name>`, checked. They are the caller's to change."""
    from sklearn import datasets

    inputs, targets = getattr(datasets, f"load_{name}")(return_X_y=True, **options)
    inputs, targets = np.array(inputs, np.float64), np.array(targets, target)
    check_lengths(f"load_{name}", inputs=inputs, targets=targets)
    check_finite(inputs, "inputs")
    check_finite(targets, "targets")
    return inputs, targets


def load_digits() -> tuple[Floats, Labels]:
    """Handwritten digits: images `[1797, 64]` (8x8 pixels, float64 in [0, 1]) and labels `[1797]` (int64, 0 to 9).

    Source: Alpaydin and Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository (its test set).
    """
    images, labels = _pair("digits", np.int64)
    return images / 16, labels


def load_iris() -> tuple[Floats, Labels]:
    """Three species of iris: sepal length, sepal width, petal length, petal width in cm `[150, 4]` and species `[150]` (int64: 0 setosa,
    1 versicolor, 2 virginica; 50 each).

    Source: Fisher 1936, "The use of multiple measurements in taxonomic problems", Annals of Eugenics 7; measured by Anderson 1935.
    """
    return _pair("iris", np.int64)


def load_wine() -> tuple[Floats, Labels]:
    """Wines of three cultivars: 13 chemical measurements `[178, 13]` and cultivar `[178]` (int64; 59, 71 and 48 of them).

    The scales of the features differ by four orders of magnitude: standardise them (see `Standardizer`).
    Source: Forina et al. 1988, PARVUS, by way of Aeberhard and Forina 1991, "Wine", UCI Machine Learning Repository.
    """
    return _pair("wine", np.int64)


def load_breast_cancer() -> tuple[Floats, Labels]:
    """Tumours by their cell nuclei: 30 measurements `[569, 30]` (mean, standard error and worst of 10) and diagnosis `[569]` (int64:
    0 malignant, 212 of them; 1 benign, 357).

    Source: Street, Wolberg and Mangasarian 1993, "Nuclear feature extraction for breast tumor diagnosis", SPIE 1905 (UCI, "Breast Cancer
    Wisconsin (Diagnostic)").
    """
    return _pair("breast_cancer", np.int64)


def load_diabetes(scaled: bool = True) -> tuple[Floats, Floats]:
    """Progress of diabetes: age, sex, body mass index, blood pressure and six blood serum values `[442, 10]`, and a measure of the disease
    one year later `[442]` (float64, 25 to 346).

    With `scaled` each feature has mean 0 and sum of squares 1 over the whole set, as published; without, its own units.
    Source: Efron, Hastie, Johnstone and Tibshirani 2004, "Least angle regression", Annals of Statistics 32(2).
    """
    return _pair("diabetes", np.float64, scaled=scaled)


def load_linnerud() -> tuple[Floats, Floats]:
    """Exercise and the body of 20 middle-aged men: chin-ups, sit-ups and jumps `[20, 3]`, and weight (pounds), waist (inches) and pulse
    `[20, 3]` (float64).

    Source: Tenenhaus 1998, "La regression PLS: theorie et pratique" (data of A. C. Linnerud, North Carolina State University).
    """
    return _pair("linnerud", np.float64)
