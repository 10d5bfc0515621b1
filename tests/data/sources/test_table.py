"""CSV files, held against numpy's own reader; whatever is wrong with one is said with its line and column."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffcore.data import load_csv
from diffcore.errors import ArgumentError, DTypeError, FormatError

PLAIN = "1,2.5,-3e2\n4,5,6\n7,8,9\n"
NAMED = "height,width,price\n" + PLAIN
IRIS = "5.1,3.5,Iris-setosa\n7.0,3.2,Iris-versicolor\n4.9,3.0,Iris-setosa\n6.3,3.3,Iris-virginica\n"
HOLES = "a,b,y\n1,,3\n4,5,6\n7,8,NA\n?,1,2\n"


@pytest.fixture
def table(tmp_path: Path) -> Any:
    """Write text (or bytes) to a file and load it."""

    def made(content: str | bytes, *args: Any, **options: Any) -> Any:
        path = tmp_path / "table.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return load_csv(path, *args, **options)

    return made


def test_numbers_are_those_of_numpy(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(50, 4)) * 10.0 ** np.arange(-8, 8, 4)
    np.savetxt(tmp_path / "values.csv", values, delimiter=",", fmt="%.17g")
    theirs = np.loadtxt(tmp_path / "values.csv", delimiter=",")
    X, y = load_csv(tmp_path / "values.csv", -1)
    np.testing.assert_array_equal(X, theirs[:, :3])
    np.testing.assert_array_equal(y, theirs[:, 3])
    X, y = load_csv(str(tmp_path / "values.csv"), None, dtype=np.float32)
    np.testing.assert_array_equal(X, theirs.astype(np.float32))
    assert y is None


@pytest.mark.parametrize(
    ("target", "inputs", "targets"),
    [
        ("price", [[1, 2.5], [4, 5], [7, 8]], [-300, 6, 9]),
        (2, [[1, 2.5], [4, 5], [7, 8]], [-300, 6, 9]),
        (-3, [[2.5, -300], [5, 6], [8, 9]], [1, 4, 7]),
        (["price"], [[1, 2.5], [4, 5], [7, 8]], [[-300], [6], [9]]),
        (("price", 0), [[2.5], [5], [8]], [[-300, 1], [6, 4], [9, 7]]),
    ],
)
def test_the_target_is_a_column_or_several(table: Any, target: Any, inputs: Any, targets: Any) -> None:
    X, y = table(NAMED, target)
    assert (X.tolist(), y.tolist(), X.dtype, y.dtype) == (inputs, targets, np.float64, np.float64)


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (NAMED, {}),
        (PLAIN, {}),
        (PLAIN, {"header": False}),
        (NAMED, {"header": True}),
        ("2019,2020,2021\n" + PLAIN, {"header": True}),
        (NAMED.replace(",", ";"), {"delimiter": ";"}),
        (NAMED.replace(",", "\t"), {"delimiter": "\t"}),
        (NAMED.replace("\n", "\r\n"), {}),
        (NAMED.replace("\n", "\n\n"), {}),
        (NAMED.replace(",", ", "), {}),
        (NAMED.rstrip("\n"), {}),
        (NAMED.replace("2.5", '" 2.5"').replace("width", '"width, cm"'), {}),
        ("\ufeff" + NAMED, {}),
        (b"\xff\xfe" + NAMED.encode("utf-16-le"), {"encoding": "utf-16"}),
        (NAMED.replace("width", "höhe").encode("latin-1"), {"encoding": "latin-1"}),
    ],
)
def test_the_same_table_written_in_other_ways(table: Any, content: Any, options: Any) -> None:
    X, y = table(content, -1, **options)
    assert (X.tolist(), y.tolist()) == ([[1, 2.5], [4, 5], [7, 8]], [-300, 6, 9])


def test_names_of_classes_become_numbers(table: Any) -> None:
    X, y = table(IRIS, -1, classes=True)
    assert (X[:, 0].tolist(), y.tolist(), y.dtype) == ([5.1, 7.0, 4.9, 6.3], [0, 1, 0, 2], np.int64)
    _, y = table(IRIS, -1, classes=["Iris-virginica", "Iris-versicolor", "Iris-setosa"])
    assert y.tolist() == [2, 1, 2, 0]
    _, y = table("y,x\nb,1\na,2\n", "y", header=True, classes=True)
    assert y.tolist() == [1, 0]
    with pytest.raises(FormatError, match=r"line 4, column 2: 'Iris-virginica' is not one of the `classes` \['Iris-setosa', 'Iris-versic"):
        table(IRIS, -1, classes=["Iris-setosa", "Iris-versicolor"])


def test_missing_values(table: Any) -> None:
    with pytest.raises(FormatError, match=r"line 2, column 1 \('b'\): the value is missing; `missing='drop'` leaves"):
        table(HOLES, "y")
    X, y = table(HOLES, "y", missing="drop")
    assert (X.tolist(), y.tolist()) == ([[4, 5]], [6])
    X, y = table(HOLES, "y", missing="nan")
    np.testing.assert_array_equal(X, [[1, np.nan], [4, 5], [7, 8], [np.nan, 1]])
    np.testing.assert_array_equal(y, [3, 6, np.nan, 2])
    with pytest.raises(FormatError, match="has no line of values that is complete"):
        table("1,\n,2\n", 0, missing="drop")
    with pytest.raises(FormatError, match=r"line 2, column 1: the value is missing"):
        table("1,a\n2,\n", 1, classes=True, missing="nan")


BROKEN: dict[str, tuple[Any, dict[str, Any], str]] = {
    "an empty file": ("", {}, "is empty"),
    "blank lines": ("\n\n\n", {}, "is empty"),
    "names alone": ("a,b,y\n", {}, "has no line of values"),
    "text": ("a,b,y\n1,2,3\n1,two,3\n", {}, r"line 3, column 1 \('b'\): 'two' is not a number"),
    "text without names": (PLAIN + "1,2,x\n", {}, "line 4, column 2: 'x' is not a number"),
    "text in the first line": ("1,b,3\n" + PLAIN, {}, r"line 1, column 1: 'b' is not a number; is it a name \(`header=True`\)"),
    "names that are no header": (NAMED, {"header": False}, r"line 1, column 0: 'height' is not a number; is it a name"),
    "a line too short": (PLAIN + "1,2\n", {}, "line 4 has 2 cells, expected 3 as in the first line"),
    "a line too long": (NAMED + "1,2,3,4\n", {}, "line 5 has 4 cells, expected 3"),
    "an infinity": (PLAIN + "1,inf,2\n", {}, "line 4, column 1: 'inf' is not finite"),
    "a number too large": (PLAIN + "1,1e999,2\n", {}, "line 4, column 1: '1e999' is not finite"),
    "a signed NaN": (PLAIN + "1,-nan,2\n", {}, "line 4, column 1: '-nan' is not finite"),
    "what only Python takes for a number": (PLAIN + "1,1_0,2\n", {}, "line 4, column 1: '1_0' is not a number"),
    "other digits": (PLAIN + "1,\u0663,2\n", {}, "line 4, column 1: .* is not a number"),
    "a decimal comma": (PLAIN + '1,"2,5",2\n', {}, "line 4, column 1: '2,5' is not a number"),
    "a quote left open": (PLAIN + '1,"2,3\n', {}, "line 4 is not CSV: unexpected end of data"),
    "a cell without end": (PLAIN + "1," + "x" * 200_000 + ",2\n", {}, "line 4 is not CSV: field larger than field limit"),
    "a long cell": (PLAIN + "1," + "x" * 1000 + ",2\n", {}, r"line 4, column 1: 'x{37}\.\.\.' is not a number"),
    "latin-1": ("a,b,y\n1,2,é\n".encode("latin-1"), {}, "is not text in utf-8-sig: .* its `encoding` may be another"),
    "utf-16": (NAMED.encode("utf-16"), {}, "is not text in utf-8-sig"),
    "bytes": (bytes(range(128, 256)), {}, "is not text in utf-8-sig"),
    "zeros": (bytes(100), {"target": None}, "has no line of values|not a number"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_table_is_refused_in_one_line(table: Any, name: str) -> None:
    content, options, message = BROKEN[name]
    with pytest.raises(FormatError, match=message) as caught:
        table(content, **{"target": -1, **options})
    assert "\n" not in str(caught.value)
    assert "table.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("cost", {}, "`target` 'cost' must name one column, not 0: .* has 'height', 'width', 'price'"),
        (3, {}, "`target` 3 must be the name or the position of a column: .* has 3"),
        (True, {}, "`target` True must be the name"),
        ([0, "height"], {}, "names a column twice"),
        ([0, 1, 2], {}, "has 3 columns, and `target` .* leaves none as input"),
        ("price", {"missing": "skip"}, r"`missing` \(='skip'\) must be"),
        ("price", {"delimiter": ", "}, r"`delimiter` \(=', '\) must be one character"),
        ("price", {"encoding": "utf-99"}, r"`encoding` \(='utf-99'\) is unknown"),
        (["price"], {"classes": True}, "`classes` needs one column as `target`"),
        ("price", {"classes": "ab"}, r"`classes` \(='ab'\) must be True, False or a list of different names"),
        ("price", {"classes": ["a", "a"]}, "a list of different names"),
    ],
)
def test_columns_that_are_not_there(table: Any, target: Any, options: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        table(NAMED, target, **options)


def test_columns_without_names_of_their_own(table: Any, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"must name one column, not 0: .* has no names of columns"):
        table(PLAIN, "price")
    with pytest.raises(ArgumentError, match="must name one column, not 2"):
        table("a,a,b\n1,2,3\n", "a")
    with pytest.raises(FormatError, match="is `delimiter` ';'"):
        table("x\n1;2\n", None)
    with pytest.raises(DTypeError, match="must be a floating-point dtype"):
        table(PLAIN, 0, dtype=np.int64)
    with pytest.raises(FileNotFoundError):
        load_csv(tmp_path / "absent.csv", 0)
