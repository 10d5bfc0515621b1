"""IDX files: made with `struct`, read to the bit; whatever is wrong with one is said in one line."""

import gzip
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffcore.data import load_idx, read_idx, write_idx
from diffcore.errors import DTypeError, FormatError

CODES = {"u1": (0x08, "B"), "i1": (0x09, "b"), "i2": (0x0B, "h"), "i4": (0x0C, "i"), "f4": (0x0D, "f"), "f8": (0x0E, "d")}


def packed(array: np.ndarray) -> bytes:
    """The IDX file of `array`, by `struct` alone."""
    code, letter = CODES[array.dtype.str[1:]]
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + struct.pack(f">{array.size}{letter}", *array.ravel().tolist())


def some(dtype: str, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(-100 if dtype[0] != "u" else 0, 100, shape).astype(dtype)


@pytest.mark.parametrize("shape", [(), (3,), (0, 4), (2, 3, 4), (1,) * 8])
@pytest.mark.parametrize("dtype", CODES)
def test_every_element_type_is_read_and_written(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    array, path = some(dtype, *shape), tmp_path / "file"
    for content in (packed(array), gzip.compress(packed(array))):
        path.write_bytes(content)
        read = read_idx(path)
        assert (read.dtype, read.shape) == (array.dtype, array.shape)
        assert read.dtype.isnative
        np.testing.assert_array_equal(read, array)
        read[...] = 1  # it is the reader's own
    for name in ("plain", "packed.gz"):
        write_idx(tmp_path / name, array)
        content = (tmp_path / name).read_bytes()
        assert (gzip.decompress(content) if name.endswith(".gz") else content) == packed(array)
        np.testing.assert_array_equal(read_idx(str(tmp_path / name)), array)


def test_any_memory_order_is_written(tmp_path: Path) -> None:
    array = some("f4", 4, 3)
    for made in (array.T, array[::2], array.astype(">f4"), array.tolist()):
        write_idx(tmp_path / "file", made)
        np.testing.assert_array_equal(read_idx(tmp_path / "file"), np.asarray(made))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


GOOD = packed(some("i2", 3, 4))
ZIPPED = gzip.compress(GOOD)

TORN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is torn: it ends within the 4 bytes"),
    "three bytes": (GOOD[:3], "is torn: it ends within the 4 bytes"),
    "no extents": (GOOD[:6], "is torn: it ends within its header, before the extents of its 2 axes"),
    "no elements": (GOOD[:12], r"is torn: its header says \(3, 4\) of int16, 24 bytes, but 0 follow"),
    "one byte short": (GOOD[:-1], "24 bytes, but 23 follow the header"),
    "one byte long": (GOOD + b"\0", "has trailing bytes: its header says .* 24 bytes, but 25 follow"),
    "two files": (GOOD + GOOD, "has trailing bytes"),
    "text": (b"label,pixel\n1,2\n", "is not an IDX file: it begins with 6c 61 62 65"),
    "a wrong magic number": (b"\0\1" + GOOD[2:], "begins with 00 01 0b 02"),
    "an element type that is not": (b"\0\0\x0a" + GOOD[3:], "begins with 00 00 0a 02"),
    "little endian": (GOOD[3::-1] + GOOD[4:], "begins with 02 0b 00 00"),
    "too many axes": (b"\0\0\x08\xff" + bytes(2000), "has 255 axes, more than the 64"),
    "absurd extents": (b"\0\0\x0e\x03" + b"\xff" * 12 + bytes(100), r"is torn: its header says \(4294967295, 4294967295, 4294967295\)"),
    "absurd extents of nothing": (b"\0\0\x0e\x05" + b"\xff" * 16 + bytes(4), "cannot be an array of shape"),
    "gzip, empty": (gzip.compress(b""), "is torn: it ends within the 4 bytes"),
    "gzip, torn inside": (gzip.compress(GOOD[:-1]), "24 bytes, but 23 follow the header"),
    "gzip, trailing bytes inside": (gzip.compress(GOOD + bytes(9)), "does not fit its header: .* 24 bytes, which is not what it holds"),
    "gzip, torn outside": (ZIPPED[:-9], "is not a whole gzip file"),
    "gzip, without its end": (ZIPPED[:-4], "is not a whole gzip file"),
    "gzip, only begun": (ZIPPED[:2], "is not a whole gzip file"),
    "gzip, a flipped bit": (ZIPPED[:20] + bytes([ZIPPED[20] ^ 8]) + ZIPPED[21:], "whole gzip|IDX|header|torn"),
    "gzip, a wrong sum": (ZIPPED[:-8] + bytes([ZIPPED[-8] ^ 1]) + ZIPPED[-7:], "is not a whole gzip file: CRC check failed"),
    "gzip, more behind": (ZIPPED + b"more", "is not a whole gzip file"),
    "gzip, absurd extents": (gzip.compress(b"\0\0\x0e\x03" + b"\xff" * 12 + bytes(100)), "does not fit its header"),
}


@pytest.mark.parametrize("name", TORN)
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    content, message = TORN[name]
    path = tmp_path / "data-idx"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(FormatError, match=message) as caught:
        read_idx(path)
    assert tracemalloc.get_traced_memory()[1] < 2e6
    tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert "data-idx" in str(caught.value)


def test_every_truncation_and_every_flipped_byte_is_found_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (GOOD, ZIPPED):
        for stop in range(len(content)):
            path.write_bytes(content[:stop])
            with pytest.raises(FormatError):
                read_idx(path)
        for at in range(len(content)):
            path.write_bytes(content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :])
            try:
                read = read_idx(path)
            except FormatError:
                continue
            assert read.nbytes == 24  # a changed element; gzip has bytes of no meaning in its header


def test_what_an_idx_file_cannot_hold(tmp_path: Path) -> None:
    for array in (np.arange(3), np.array([1 + 1j]), np.array(["a"]), np.array([True])):
        with pytest.raises(DTypeError, match=r"write_idx: IDX files cannot hold .* Did you mean `array.astype\(numpy.uint8\)`"):
            write_idx(tmp_path / "file", array)
    with pytest.raises(FileNotFoundError):
        write_idx(tmp_path / "absent" / "file", np.zeros(1))
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_idx(tmp_path / "folder", np.zeros(1))
    with pytest.raises(IsADirectoryError):
        read_idx(tmp_path / "folder")
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "absent")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def folder(path: Path, ending: str = "", mark: str = "-") -> tuple[np.ndarray, np.ndarray]:
    images, labels = some("u1", 6, 5, 4), some("u1", 6) % 10
    for part, n in (("train", 6), ("t10k", 2)):
        write_idx(path / f"{part}-images{mark}idx3-ubyte{ending}", images[:n])
        write_idx(path / f"{part}-labels{mark}idx1-ubyte{ending}", labels[:n])
    return images, labels


@pytest.mark.parametrize(("ending", "mark"), [("", "-"), (".gz", "-"), ("", ".")])
def test_a_folder_laid_out_like_mnist(tmp_path: Path, ending: str, mark: str) -> None:
    images, labels = folder(tmp_path, ending, mark)
    X, y = load_idx(tmp_path)
    assert (X.dtype, X.shape, y.dtype) == (np.float32, (6, 1, 5, 4), np.int64)
    np.testing.assert_array_equal(X[:, 0], images.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(y, labels)
    X, y = load_idx(str(tmp_path), train=False, dtype=np.uint8)
    np.testing.assert_array_equal(X, images[:2, None])
    assert len(y) == 2
    assert load_idx(tmp_path, dtype=np.float64)[0].max() <= 1


def test_images_of_other_elements_and_of_colours(tmp_path: Path) -> None:
    folder(tmp_path)
    pictures = some("f4", 6, 3, 5, 4)
    write_idx(tmp_path / "train-images-idx3-ubyte", pictures)
    np.testing.assert_array_equal(load_idx(tmp_path)[0], pictures)


SPOILED: dict[str, tuple[Callable[[Path], Any], type[Exception], str]] = {
    "fewer labels": (
        lambda path: write_idx(path / "train-labels-idx1-ubyte", some("u1", 5)),
        FormatError,
        r"images-idx3-ubyte' holds 6 images, but .*labels-idx1-ubyte' holds 5 labels",
    ),
    "labels in the place of images": (
        lambda path: write_idx(path / "train-images-idx3-ubyte", some("u1", 6)),
        FormatError,
        r"array \(6,\), exp",
    ),
    "images in the place of labels": (
        lambda path: write_idx(path / "train-labels-idx1-ubyte", some("u1", 6, 2, 2)),
        FormatError,
        "whole num",
    ),
    "labels that are no integers": (
        lambda path: write_idx(path / "train-labels-idx1-ubyte", some("f4", 6)),
        FormatError,
        "of float32, exp",
    ),
    "no examples": (
        lambda path: [write_idx(path / name, some("u1", *shape)) for name, shape in EMPTY.items()],
        FormatError,
        r"holds no images: an array \(0, 5, 4\)",
    ),
    "NaN": (
        lambda path: write_idx(path / "train-images-idx3-ubyte", np.full((6, 5, 4), np.nan, np.float32)),
        ValueError,
        "`train-images-idx3-ubyte` .* holds nan at row 0, column 0",
    ),
    "no labels": (lambda path: (path / "train-labels-idx1-ubyte").unlink(), FileNotFoundError, "neither 'train-labels-idx1-ubyte' nor"),
}
EMPTY = {"train-images-idx3-ubyte": (0, 5, 4), "train-labels-idx1-ubyte": (0,)}


@pytest.mark.parametrize("name", SPOILED)
def test_folders_that_do_not_fit_together(tmp_path: Path, name: str) -> None:
    spoil, kind, message = SPOILED[name]
    folder(tmp_path)
    spoil(tmp_path)
    with pytest.raises(kind, match=message):
        load_idx(tmp_path)
