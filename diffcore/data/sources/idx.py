"""IDX files, the format of MNIST and Fashion-MNIST, plain or compressed with gzip.

A file is: two bytes 0, a byte for the element type, a byte for the number of axes, the extent of each axis as a big-endian 32-bit
integer, and the elements, big-endian, in C order. Source: LeCun, Cortes and Burges 1998, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffcore.data.checking import check_finite
from diffcore.errors import DTypeError, FormatError
from diffcore.files import write_whole

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(kind).newbyteorder("="): code for code, kind in _TYPES.items()}

_MOST_AXES = 64
"""What numpy can hold."""

_MOST_PACKED = 1032
"""How many bytes one byte of deflate, which gzip uses, can stand for at most."""

_CHUNK = 1 << 20


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """The array in the IDX file `path`, compressed by gzip or not (its first bytes say, whatever its name), in this machine's byte order.

    Raises `OSError` where it cannot be read, `FormatError` where it is torn, damaged or no IDX file. The size of the file is compared with
    what its header says before any memory is taken.
    """
    shown = str(path)
    size = os.stat(path).st_size
    with open(path, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not packed:
            return _read(raw, shown, size, exact=True)
        with gzip.open(raw, "rb") as file:
            try:
                return _read(file, shown, size * _MOST_PACKED, exact=False)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise FormatError(f"{shown!r} is not a whole gzip file: {error}") from None


def _read(file: BinaryIO | gzip.GzipFile, shown: str, limit: int, exact: bool) -> NDArray[Any]:
    """The array in `file`, which holds `limit` bytes, or no more than that unless `exact`."""
    start = file.read(4)
    if len(start) < 4:
        raise FormatError(f"{shown!r} is torn: it ends within the 4 bytes that an IDX file begins with")
    if start[:2] != b"\0\0" or start[2] not in _TYPES:
        raise FormatError(
            f"{shown!r} is not an IDX file: it begins with {start.hex(' ')}, expected 00 00, an element type and a count of axes"
        )
    if start[3] > _MOST_AXES:
        raise FormatError(f"{shown!r} has {start[3]} axes, more than the {_MOST_AXES} an array can have; its header is damaged")
    extents = file.read(4 * start[3])
    if len(extents) < 4 * start[3]:
        raise FormatError(f"{shown!r} is torn: it ends within its header, before the extents of its {start[3]} axes")
    shape = tuple(int(extent) for extent in np.frombuffer(extents, ">u4"))
    dtype = np.dtype(_TYPES[start[2]])
    expected = math.prod(shape) * dtype.itemsize
    held = limit - 4 - len(extents)
    if expected > held or (exact and expected < held):
        raise _sizes_differ(shown, shape, dtype, expected, held if exact else None)
    data = bytearray()
    while len(data) <= expected and (chunk := file.read(min(_CHUNK, expected + 1 - len(data)))):
        data += chunk
    if len(data) != expected:
        raise _sizes_differ(shown, shape, dtype, expected, len(data) if len(data) < expected else None)
    try:
        array = np.frombuffer(data, dtype).reshape(shape)
    except ValueError as error:  # extents too large for an array although one of them is 0
        raise FormatError(f"{shown!r} cannot be an array of shape {shape}: {error}") from None
    return array.astype(dtype.newbyteorder("="), copy=False)


def _sizes_differ(shown: str, shape: tuple[int, ...], dtype: np.dtype[Any], expected: int, held: int | None) -> FormatError:
    wants = f"its header says {shape} of {dtype.newbyteorder('=')}, {expected} bytes"
    if held is None:
        return FormatError(f"{shown!r} does not fit its header: {wants}, which is not what it holds")
    problem = "is torn" if held < expected else "has trailing bytes"
    return FormatError(f"{shown!r} {problem}: {wants}, but {held} follow the header")


def write_idx(path: str | os.PathLike[str], array: ArrayLike) -> None:
    """Write `array` to `path` as an IDX file, compressed where the name ends in `.gz`; the file appears whole or not at all.

    Its dtype must be uint8, int8, int16, int32, float32 or float64. Raises `DTypeError` for others, `OSError` where it cannot be written.
    """
    values = np.asarray(array)
    code = _CODES.get(values.dtype.newbyteorder("="))
    if code is None:
        names = ", ".join(str(kind) for kind in _CODES)
        raise DTypeError(f"write_idx: IDX files cannot hold {values.dtype}, only {names}. Did you mean `array.astype(numpy.uint8)`?")
    header = bytes([0, 0, code, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    data = header + np.ascontiguousarray(values, _TYPES[code]).tobytes()
    write_whole(path, gzip.compress(data, mtime=0) if str(path).endswith(".gz") else data)


def load_idx(folder: str | os.PathLike[str], train: bool = True, *, dtype: Any = np.float32) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The training or the test part of MNIST, Fashion-MNIST or a set laid out like them, from the files in `folder`.

    They are `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, and `t10k-...` for the test part, with or without `.gz`; a dot may
    stand before `idx`. Returns images `[n, channels, height, width]` in `dtype` (a file `[n, height, width]` has one channel; bytes
    become numbers in [0, 1] unless `dtype` is uint8) and labels `[n]` (int64).

    Raises `FileNotFoundError` for a file that is not there, `FormatError` for one that is damaged, for images and labels that do not fit
    each other and for an empty data set.
    """
    part = "train" if train else "t10k"
    at = [_found(Path(folder), part, kind, axes) for kind, axes in (("images", 3), ("labels", 1))]
    images, labels = (read_idx(path) for path in at)
    shown = [repr(str(path)) for path in at]
    if images.ndim not in (3, 4):
        raise FormatError(f"{shown[0]} holds an array {images.shape}, expected images [n, height, width] or [n, channels, height, width]")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise FormatError(f"{shown[1]} holds an array {labels.shape} of {labels.dtype}, expected whole numbers [n]")
    if len(images) != len(labels):
        raise FormatError(f"{shown[0]} holds {len(images)} images, but {shown[1]} holds {len(labels)} labels")
    if images.size == 0:
        raise FormatError(f"{shown[0]} holds no images: an array {images.shape}")
    if images.dtype.kind == "f":
        check_finite(images, at[0].name)
    images = images.reshape(len(images), -1, *images.shape[-2:])
    wanted = np.dtype(dtype)
    if images.dtype == np.uint8 and wanted.kind == "f":
        pixels = images.astype(wanted)
        pixels /= 255
        return pixels, labels.astype(np.int64)
    return images.astype(wanted, copy=False), labels.astype(np.int64)


def _found(folder: Path, part: str, kind: str, axes: int) -> Path:
    names = [f"{part}-{kind}{mark}idx{axes}-ubyte{ending}" for ending in ("", ".gz") for mark in ("-", ".")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"load_idx: neither {names[0]!r} nor {names[2]!r} is in the folder {str(folder)!r}")
