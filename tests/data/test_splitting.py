"""Random splits and folds."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sklearn import model_selection

from diffcore.arrays.random import manual_seed
from diffcore.data import DataLoader, KFold, StratifiedKFold, TensorDataset, load_iris, random_split
from diffcore.errors import ArgumentError, ShapeError

X = np.arange(34.0).reshape(17, 2)
Y = np.array([0] * 8 + [1] * 6 + [2] * 3)
DATA = TensorDataset(X, Y)


@pytest.mark.parametrize("lengths", [[10, 7], [17], [0.5, 0.5], [0.6, 0.3, 0.1], [1 / 3] * 3, [1.0], [1, 16], [0.1] * 10])
def test_parts_have_the_sizes_of_pytorch_and_share_nothing(lengths: list[float]) -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.data import random_split as theirs

    parts = random_split(DATA, lengths, np.random.default_rng(0))
    assert [len(part) for part in parts] == [len(part) for part in theirs(torch.arange(17), lengths)]
    assert sorted(i for part in parts for i in part.indices) == list(range(17))


def test_fractions_without_torch() -> None:
    assert [len(part) for part in random_split(DATA, [0.5, 0.3, 0.2])] == [9, 5, 3]


def test_splits_repeat_by_seed() -> None:
    def drawn(generator: Any = None) -> list[list[int]]:
        return [part.indices for part in random_split(DATA, [10, 7], generator)]

    assert drawn(np.random.default_rng(1)) == drawn(np.random.default_rng(1)) != drawn(np.random.default_rng(2))
    manual_seed(5)
    first = drawn()
    assert drawn() != first
    manual_seed(5)
    assert drawn() == first


def test_parts_are_loaded_as_tensors(engine: ModuleType) -> None:
    train, test = random_split(TensorDataset(engine.tensor(X), engine.tensor(Y)), [12, 5])
    x, _ = next(iter(DataLoader(train, 12)))
    assert isinstance(x, engine.Tensor)
    np.testing.assert_array_equal(x.numpy(), X[train.indices])
    assert test[0][0].tolist() == X[test.indices[0]].tolist()


def test_a_part_without_examples_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="length of split at index 1 is 0"):
        parts = random_split(DATA, [17, 0])
    assert [len(part) for part in parts] == [17, 0]


@pytest.mark.parametrize(("n", "k"), [(17, 5), (10, 2), (10, 10), (11, 3)])
def test_folds_are_those_of_scikit_learn(n: int, k: int) -> None:
    ours = [(train.indices, held.indices) for train, held in KFold(k).split(np.arange(n))]
    theirs = [(train.tolist(), held.tolist()) for train, held in model_selection.KFold(k).split(np.arange(n))]
    assert ours == theirs


@pytest.mark.parametrize(("n", "k"), [(17, 5), (10, 10), (11, 3)])
def test_shuffled_folds_have_the_sizes_of_scikit_learn_and_part_the_data(n: int, k: int) -> None:
    folds = list(KFold(k, shuffle=True, seed=3).split(np.arange(n)))
    sizes = [len(held) for _, held in model_selection.KFold(k, shuffle=True, random_state=3).split(np.arange(n))]
    assert [len(held) for _, held in folds] == sizes
    assert sorted(i for _, held in folds for i in held.indices) == list(range(n))
    for train, held in folds:
        assert sorted(train.indices + held.indices) == list(range(n))
        assert train.indices == sorted(train.indices)
    plain = [held.indices for _, held in KFold(k).split(np.arange(n))]
    assert [held.indices for _, held in folds] != plain
    again = [held.indices for _, held in KFold(k, True, 3).split(np.arange(n))]
    assert again == [held.indices for _, held in folds]
    assert [held.indices for _, held in KFold(k, True, 4).split(np.arange(n))] != again


def test_stratified_folds_are_those_of_scikit_learn() -> None:
    _, species = load_iris()
    mixed = np.random.default_rng(0).permutation(np.concatenate([species, [2] * 7, [0] * 2]))
    for y in (species, mixed, np.array(["b", "a"] * 6)):
        ours = [held.indices for _, held in StratifiedKFold(4).split(y, y)]
        assert ours == [held.tolist() for _, held in model_selection.StratifiedKFold(4).split(y, y)]
        for _, held in StratifiedKFold(4, shuffle=True, seed=0).split(TensorDataset(np.arange(len(y)), y) if y.dtype.kind == "i" else y, y):
            shares = np.unique(y[held.indices], return_counts=True)[1] / np.unique(y, return_counts=True)[1]
            assert abs(shares - 0.25).max() < 0.1
    first, second = ([held.indices for _, held in StratifiedKFold(3, True, seed).split(DATA)] for seed in (0, 1))
    assert sorted(i for held in first for i in held) == list(range(17))
    assert first != second


def test_a_class_too_small_for_the_folds_is_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"the smallest class has only 3 examples, which is less than `n_splits` \(=5\)") as caught:
        folds = StratifiedKFold(5).split(DATA)
    assert caught[0].filename == __file__
    assert [len(held) for _, held in folds] == [4, 4, 3, 3, 3]


BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "lengths that are too short": (lambda: random_split(DATA, [10, 5]), ArgumentError, r"\[10, 5\] \(=15\) does not equal .* \(=17\)"),
    "a negative length": (lambda: random_split(DATA, [18, -1]), ArgumentError, r"`lengths\[1\]` \(=-1\) must be an integer of 0 or more"),
    "half a length": (lambda: random_split(DATA, [8.5, 8.5]), ArgumentError, r"`lengths\[0\]` \(=8.5\) must be an integer"),
    "a fraction": (lambda: random_split(DATA, [1.5, -0.5]), ArgumentError, r"fraction at index 0 \(=1.5\) is not between 0 and 1"),
    "NaN": (lambda: random_split(DATA, [float("nan")]), ArgumentError, "does not equal the length"),
    "one fold": (lambda: KFold(1), ArgumentError, r"KFold: `n_splits` \(=1\) must be an integer of 2 or more"),
    "more folds than examples": (lambda: KFold(18).split(DATA), ArgumentError, r"cannot have `n_splits` \(=18\) greater .* \(=17\)"),
    "a seed without use": (lambda: KFold(3, seed=1), ArgumentError, r"`seed` \(=1\) has no effect without `shuffle=True`"),
    "an empty set": (lambda: KFold(3).split([]), ArgumentError, r"greater than the number of examples \(=0\)"),
    "classes missing": (lambda: StratifiedKFold(3).split(X), ArgumentError, "the classes `y` must be given"),
    "classes of another length": (lambda: StratifiedKFold(3).split(X, Y[:9]), ShapeError, "17 != 9 examples"),
    "a matrix of classes": (lambda: StratifiedKFold(3).split(X, X), ShapeError, r"`y` \(17, 2\) must be a vector"),
    "classes too small": (lambda: StratifiedKFold(9).split(DATA), ArgumentError, "greater than the number of examples of every class"),
}


@pytest.mark.parametrize("name", BAD)
def test_splits_that_make_no_sense(name: str) -> None:
    call, kind, message = BAD[name]
    with pytest.raises(kind, match=message):
        call()
