"""Colours by meaning. A figure draws with a sentinel for each meaning; the page's style sheet gives it its light and dark colour."""

from __future__ import annotations

STRATEGIES = 6
"""How many strategies have a colour of their own; after that they repeat."""

ROLES = ("parameter", "input", "optimizer state", "activation", "residual", "tangent", "cotangent", "gradient", "workspace")
"""Roles of bytes, in the order they are stacked from below."""

PHASES = ("primal", "tangent", "adjoint", "recompute", "update")
"""Phases of a step, in the order they are stacked from the left."""

_TOKENS = (
    "ink",
    "muted",
    "grid",
    "axis",
    "paper",
    *(f"strategy-{index}" for index in range(STRATEGIES)),
    *(f"role-{role.replace(' ', '-')}" for role in (*ROLES, "other")),
    *(f"phase-{phase}" for phase in (*PHASES, "other")),
)
_SENTINELS = {token: f"#c0de{number:02x}" for number, token in enumerate(_TOKENS)}
VARIABLES = {sentinel: f"var(--{token})" for token, sentinel in _SENTINELS.items()}
"""From the sentinel in a figure to the custom property of the style sheet."""


def sentinel(token: str) -> str:
    """The colour to draw `token` with, for instance `ink` or `role-residual`."""
    return _SENTINELS[token]


def strategy_token(index: int) -> str:
    """The token of the strategy at `index` of the run."""
    return f"strategy-{index % STRATEGIES}"


def role_token(role: str) -> str:
    """The token of a role of bytes; roles this page does not know share one."""
    return f"role-{role.replace(' ', '-')}" if role in ROLES else "role-other"


def phase_token(phase: str) -> str:
    """The token of a phase of the step; phases this page does not know share one."""
    return f"phase-{phase}" if phase in PHASES else "phase-other"


def ordered(found: set[str], known: tuple[str, ...]) -> list[str]:
    """`found` in the order of `known`, unknown names last by alphabet."""
    return [name for name in known if name in found] + sorted(found - set(known))
