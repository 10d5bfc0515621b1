"""A thousand random programs: both engines, forward mode under every seeding, and jax give the same derivatives."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import dualdiff
import revdiff
from diffcore.testing import CheckFailed, expect_close, weighted
from diffcore.testing.programs import OPS, SHAPES, build

PROGRAMS, PARTS = 1000, 8
FIRST, SECOND = 1e-12, 1e-10
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@st.composite
def programs(draw):
    return build(lambda n: draw(st.integers(0, n - 1)) if n > 1 else 0)


def gradients(scalar, numbers, inputs):
    yield "revdiff", revdiff.grad(scalar, numbers)(*inputs)
    for seeding in ("parameters", "activations", "auto"):
        yield f"dualdiff by {seeding}", dualdiff.grad(scalar, numbers, seeding=seeding)(*inputs)


def agree(program, *, second):
    """Both engines and jax agree on the gradient of `program`, and where `second` on a product with its Hessian."""
    import jax

    value = program(*program.inputs)
    rng = np.random.default_rng(len(program.steps))
    scalar, numbers = weighted(program, rng, np.shape(value)), tuple(range(len(program.inputs)))
    expected = jax.grad(scalar, numbers)(*program.inputs)
    for name, found in gradients(scalar, numbers, program.inputs):
        expect_close(f"gradient by {name}", found, expected, FIRST)
    if second:
        along = tuple(np.asarray(rng.standard_normal(x.shape)) for x in program.inputs)
        reference = revdiff.hvp(scalar, program.inputs, along)
        expect_close("forward over reverse", dualdiff.jvp(revdiff.grad(scalar, numbers), program.inputs, along)[1], reference, SECOND)
        expect_close("forward over forward", dualdiff.hvp(scalar, program.inputs, along), reference, SECOND)


@pytest.mark.parametrize("part", range(PARTS))
def test_engines_and_jax_agree_on_random_programs(part, x64):
    count = 0

    @seed(part)
    @settings(
        max_examples=PROGRAMS // PARTS,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(programs())
    def check(program):
        nonlocal count
        count += 1
        agree(program, second=len(program.steps) % 4 == 0)

    check()
    assert count >= PROGRAMS // PARTS


def random(numbers):
    rng = np.random.default_rng(numbers)
    return build(lambda n: int(rng.integers(n)))


def test_programs_use_every_op_and_are_not_trivial():
    made = [random(i) for i in range(1500)]
    used = {step.op.name for program in made for step in program.steps}
    assert used == {op.name for op in OPS}
    assert max(len(program.steps) for program in made) >= 7
    assert np.mean([len(program.steps) for program in made]) > 2
    assert {np.shape(x) for program in made for x in program.inputs} == set(SHAPES)


def test_no_step_is_there_for_nothing():
    for program in map(random, range(200)):
        used = {i for step in program.steps for i in step.operands}
        made = set(range(len(program.inputs), len(program.inputs) + len(program.steps) - 1))
        assert made <= used


def test_a_program_prints_as_what_it_does():
    program = random(3)
    lines = repr(program).splitlines()
    assert len(lines) == len(program.inputs) + len(program.steps)
    assert all(line.startswith(f"v{i} = ") for i, line in enumerate(lines))


def test_a_wrong_rule_is_found_and_its_program_made_small(x64):
    from diffcore.kernels import registered
    from diffcore.testing.mutations import replaced

    kernel = registered()["tanh"]
    found = []

    @seed(0)
    @settings(max_examples=300, database=None, deadline=None, suppress_health_check=list(HealthCheck), report_multiple_bugs=False)
    @given(programs())
    def check(program):
        try:
            agree(program, second=False)
        except CheckFailed:
            found.append(program)
            raise

    right = kernel.pullback
    with replaced(kernel, pullback=lambda call, g, needs: [h * (1 + 1e-9) for h in right(call, g, needs)]), pytest.raises(CheckFailed):
        check()
    assert [step.op.name for step in found[-1].steps] == ["tanh"]
    assert len(found[-1].inputs) == 1
