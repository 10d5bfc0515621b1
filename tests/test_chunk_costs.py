"""What directions are taken to cost: chords of a convex function that is known where it was measured."""

from collections.abc import Callable

import pytest

from dualdiff.chunks import _Added, _cost

BENDS: dict[str, Callable[[int], int]] = {
    "flat, then steep": lambda k: 100 + k if k <= 20 else 119 + 120 * (k - 20),
    "a line": lambda k: 50 + 10 * k,
    "nothing more": lambda k: 100,
    "steep from the start": lambda k: 900 * k,
    "two bends": lambda k: 100 + k + max(0, k - 10) * 30 + max(0, k - 40) * 900,
}


@pytest.mark.parametrize("bend", BENDS)
@pytest.mark.parametrize("budget", [1, 100, 101, 1000, 5000, 10**6])
def test_chords_come_to_an_end(bend: str, budget: int) -> None:
    """Also where the end of one asks for another that was there before."""
    asked = []

    def added(k: int) -> _Added:
        asked.append(k)
        return _Added(BENDS[bend](k), BENDS[bend](k))

    found = _cost((("variable", 0),), 100, budget, added, None)
    assert len(asked) < 20
    assert found.alone.first == BENDS[bend](1)
    assert 1 <= found.most <= 100
    assert found.alone.bytes(found.most) >= BENDS[bend](found.most)
