"""What `perf stat` prints, read: the formats of its manual, for processors by AMD and Intel, with counters and without."""

import pytest

from compare.truth.events import EVENTS, operations, parse

AMD, (SINGLE, DOUBLE) = EVENTS["AuthenticAMD"][0], EVENTS["GenuineIntel"]

ZEN = """# started on Tue Mar  4 10:12:07 2025

20084438688;;fp_ret_sse_avx_ops.all:u;412345678;100.00;48.707;G/sec
"""
SKYLAKE = """# started on Tue Mar  4 10:12:07 2025

1204;;fp_arith_inst_retired.scalar_single:u;2000000;100.00;;
16;;fp_arith_inst_retired.128b_packed_single:u;2000000;100.00;;
2500000000;;fp_arith_inst_retired.256b_packed_single:u;2000000;100.00;;
7;;fp_arith_inst_retired.512b_packed_single:u;2000000;100.00;;
"""
SHARED = """
10;;fp_arith_inst_retired.scalar_double:u;1500000;75.02;;
20;;fp_arith_inst_retired.128b_packed_double:u;1500000;75.02;;
30;;fp_arith_inst_retired.256b_packed_double:u;1500000;74.91;;
0;;fp_arith_inst_retired.512b_packed_double:u;1500000;74.91;;
"""
HYBRID = """
100;;cpu_core/fp_arith_inst_retired.scalar_double/u;10;100.00;;
<not counted>;;cpu_atom/fp_arith_inst_retired.scalar_double/u;0;0.00;;
1;;cpu_core/fp_arith_inst_retired.128b_packed_double/u;10;100.00;;
1;;cpu_core/fp_arith_inst_retired.256b_packed_double/u;10;100.00;;
2;;cpu_atom/fp_arith_inst_retired.256b_packed_double/u;10;100.00;;
0;;cpu_core/fp_arith_inst_retired.512b_packed_double/u;10;100.00;;
"""
BY_CODE = "12;;cpu/event=0x03,umask=0x0f/u;5;100.00;;\n"
NONE = "<not supported>;;fp_ret_sse_avx_ops.all:u;0;100.00;;\n"


@pytest.mark.parametrize(
    ("text", "group", "count", "shared"),
    [
        (ZEN, AMD, 20_084_438_688, False),
        (SKYLAKE, SINGLE, 1204 + 4 * 16 + 8 * 2_500_000_000 + 16 * 7, False),
        (SHARED, DOUBLE, 10 + 2 * 20 + 4 * 30, True),
        (HYBRID, DOUBLE, 100 + 2 * 1 + 4 * 3, False),
        (BY_CODE, AMD, 12, False),
        (NONE, AMD, None, False),
    ],
    ids=["AMD", "Intel", "in turns", "two kinds of cores", "by code", "not supported"],
)
def test_operations_are_read(text: str, group: tuple[object, ...], count: int | None, shared: bool) -> None:
    counts = parse(text, group)  # type: ignore[arg-type]
    assert operations(counts, group) == count  # type: ignore[arg-type]
    assert counts.shared is shared


def test_an_event_that_perf_says_nothing_of_is_named() -> None:
    with pytest.raises(ValueError, match=r"perf says nothing of fp_arith_inst_retired\.scalar_single, .*512b_packed_single$"):
        parse(ZEN, SINGLE)


def test_every_maker_counts_every_width_once() -> None:
    """An instruction of a width counts as many operations as it has elements; perf is told of user space alone."""
    for groups in EVENTS.values():
        codes = [(event.code, event.mask) for group in groups for event in group]
        assert len(set(codes)) == len(codes)
        assert all(event.named == f"{event.name}:u" and event.coded.endswith("/u") for group in groups for event in group)
    assert [event.weight for event in SINGLE] == [1, 4, 8, 16]
    assert [event.weight for event in DOUBLE] == [1, 2, 4, 8]
