"""Checkpointing: residuals that are recomputed in the backward pass instead of kept, by a schedule and within a memory budget.

`lazy`: nodes without residuals. `segment`: functions that leave such nodes, and their further runs. `barrier`: what keeps XLA from merging
these with the first. `chain`: sequences of steps, run by a `schedule`. Schedules come from `named` or `optimal`, by `sizes`, which are
measured on abstract arrays; `choosing` brings what a user asks for together with these, `diagram` draws them, and `api` is the entrance.
"""

from revdiff.checkpointing.api import checkpoint, checkpoint_schedule
from revdiff.checkpointing.schedule import Action, Schedule, Verb

__all__ = ["Action", "Schedule", "Verb", "checkpoint", "checkpoint_schedule"]
