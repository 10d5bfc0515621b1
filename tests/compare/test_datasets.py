"""Every data set is what its description says, in every form it can be delivered in; a user's own files are read or refused."""

import msgspec
import numpy as np
import pytest

from compare import datasets, userdata
from compare.datasets import DATASETS
from compare.errors import InputError
from compare.settings import Settings
from diffcore.data import write_idx

FORMS = ("vector", "image", "sequence", "tokens")


@pytest.mark.parametrize("name", DATASETS)
def test_the_description_is_true(name):
    described = DATASETS[name]
    forms = [form for form in FORMS if described.delivered(form) is not None]
    assert described.form in forms
    for form in forms:
        split = datasets.load(name, form, seed=0, dtype="float32")
        shape = described.delivered(form)
        assert split.train_inputs.shape == (described.trained_on, *shape)
        assert split.test_inputs.shape == (described.examples - described.trained_on, *shape)
        assert split.train_targets.shape == (described.trained_on, *described.targets)
        assert split.train_inputs.dtype == (np.int64 if form == "tokens" else np.float32)
        assert np.isfinite(split.train_inputs).all()
    targets = np.concatenate([split.train_targets, split.test_targets])
    if described.task in ("classification", "language"):
        assert targets.dtype == np.int64
        assert targets.min() >= 0
        assert targets.max() < described.outputs
        if described.outputs <= described.examples:
            assert set(np.unique(targets)) == set(range(described.outputs))
    else:
        assert targets.dtype == np.float32


def test_an_image_as_a_sequence_is_its_rows():
    image = datasets.load("shapes-32", "image", seed=3, dtype="float64")
    rows = datasets.load("shapes-32", "sequence", seed=3, dtype="float64")
    np.testing.assert_array_equal(rows.train_inputs[5, 7].reshape(3, 32), image.train_inputs[5, :, 7])
    np.testing.assert_array_equal(rows.train_targets, image.train_targets)


def test_features_are_standardised_by_the_training_examples_alone():
    split = datasets.load("diabetes", "vector", seed=0, dtype="float64")
    for values in (split.train_inputs, split.train_targets):
        np.testing.assert_allclose(values.mean(0), 0, atol=1e-12)
        np.testing.assert_allclose(values.std(0), 1, atol=1e-12)
    assert abs(split.test_inputs.mean(0)).max() > 1e-3


def test_the_seed_splits_and_the_data_stay():
    one, other = (datasets.load("moons", "vector", seed=seed, dtype="float64") for seed in (0, 1))
    assert not np.array_equal(one.train_inputs, other.train_inputs)
    whole = [np.sort(np.concatenate([split.train_inputs, split.test_inputs]), axis=0) for split in (one, other)]
    np.testing.assert_array_equal(*whole)


def write(path, text):
    path.write_text(text)
    return path


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},{'big' if a > b else 'small'},{2 * a - b:.4f}" for a, b in rng.normal(size=(40, 2))]
    return write(tmp_path / "table.csv", "\n".join(["first,second,size,sum", *rows]))


def test_a_table_of_classes_and_one_of_numbers(tmp_path, table):
    # A column of text is no input, so the sum is predicted from a table without it.
    cells = [line.split(",") for line in table.read_text().split()]
    numbers = write(tmp_path / "numbers.csv", "\n".join(f"{a},{b},{y}" for a, b, _, y in cells))
    regression = datasets.describe(f"csv:{numbers}")
    assert (regression.task, regression.shape, regression.outputs, regression.examples) == ("regression", (2,), 1, 40)
    classes = datasets.describe(f"csv:{table}:size")
    assert (classes.task, classes.shape, classes.outputs) == ("classification", (3,), 2)
    second = datasets.describe(f"csv:{table}:2")
    assert second == msgspec.structs.replace(classes, name=f"csv:{table}:2", account=f"40 examples of the user's own, {table}:2")
    split = datasets.load(f"csv:{table}:size", "vector", seed=0, dtype="float32")
    assert split.train_inputs.shape == (32, 3)
    np.testing.assert_allclose(split.train_inputs.std(0), 1, rtol=1e-5)
    settings = Settings(data=f"csv:{table}:size", batch=8)
    assert settings.title == "mlp-csv-table"
    assert f"--data csv:{table}:size" in settings.command


def test_images_in_the_files_of_mnist(tmp_path):
    rng = np.random.default_rng(0)
    write_idx(tmp_path / "train-images-idx3-ubyte", rng.integers(0, 256, (30, 6, 5)).astype(np.uint8))
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", (np.arange(30) % 4).astype(np.uint8))
    settings = Settings(network="mlp", data=f"idx:{tmp_path}", batch=4)
    assert (settings.inputs, settings.outputs, settings.dataset.form) == ((30,), 4, "image")
    split = datasets.load(settings.data, "image", seed=0, dtype="float64")
    assert split.train_inputs.shape == (24, 1, 6, 5)
    assert 0 <= split.train_inputs.min() < split.train_inputs.max() <= 1


BAD = [
    ("csv:absent.csv", "data set 'csv:absent.csv' cannot be read: No such file or directory"),
    ("csv:", "cannot be read"),
    ("csv:empty.csv", "'empty.csv' is empty"),
    ("csv:nan.csv", "'nan.csv' line 4, column 1 ('b'): the value is missing"),
    ("csv:infinite.csv", "is not finite"),
    ("csv:torn.csv", "has 1 cells, expected 2"),
    ("csv:few.csv", "has 3 examples, and at least 10 are needed"),
    ("csv:few.csv:c", "`target` 'c' must name one column, not 0"),
    ("idx:.", "neither 'train-images-idx3-ubyte' nor 'train-images-idx3-ubyte.gz' is in the folder"),
    ("idx:FOLDER", "cannot be read"),
    ("csv", "unknown data set 'csv': it must be digits, "),
    ("idx:FOLDER2", "is in the folder 'FOLDER2'"),
    ("digit", "Perhaps you meant 'digits'?"),
]


@pytest.mark.parametrize(("name", "message"), BAD, ids=[name for name, _ in BAD])
def test_data_that_cannot_be_used_are_refused_in_one_line(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    userdata.read.cache_clear()
    write(tmp_path / "empty.csv", "")
    rows = [f"{i},{i * 0.5},{i / 7}" for i in range(20)]
    write(tmp_path / "nan.csv", "\n".join(["a,b,c", *rows[:2], "2,,3", *rows]))
    write(tmp_path / "infinite.csv", "\n".join(["a,b,c", *rows, "2,inf,3"]))
    write(tmp_path / "torn.csv", "a,b\n1,2\n3\n")
    write(tmp_path / "few.csv", "a,b\n1,2.5\n3,4\n5,6\n")
    with pytest.raises(InputError) as caught:
        Settings(data=name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
