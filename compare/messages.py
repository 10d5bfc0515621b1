"""What the orchestrator and a worker say to each other: one JSON object a line, over the worker's standard input and output.

Every request is answered by any number of `Progress` and then one other reply; `Failed` may stand for any of them.
"""

from __future__ import annotations

import msgspec

from compare.records import Moment, Truth
from compare.settings import Settings


class Message(msgspec.Struct, frozen=True, tag_field="is", tag=str.lower):
    """Base of all messages; `is` on the line is the class name in lower case."""


class Prepare(Message, frozen=True):
    """Request: count one step on abstract arrays; from now on it is this network and data that is worked on. Answered by `Prepared`."""

    settings: Settings
    strategy: str


class Warm(Message, frozen=True):
    """Request: make `steps` untimed steps. Answered by `Done`."""

    steps: int


class Time(Message, frozen=True):
    """Request: time steps, at most `samples` of them and, once there are `least`, for about `seconds`. Answered by `Timed`."""

    samples: int
    least: int
    seconds: float


class Train(Message, frozen=True):
    """Request: train a fresh network in `dtype` for `steps` steps. Answered by `Trained`."""

    steps: int
    dtype: str


class Weigh(Message, frozen=True):
    """Request: measure one step by every source of truth there is, with `dear` also by those that take seconds. Answered by `Weighed`."""

    dear: bool = False


class Progress(Message, frozen=True):
    """Reply: `done` steps of the request have been made."""

    done: int


class Prepared(Message, frozen=True):
    """Reply: the number of scalar parameters, and what one step costs by the ledger (operations, bytes).

    `directions` are the tangent directions carried, None in reverse; `memory` the bytes that tangents are kept within by chunks of
    directions, or a checkpointed network by its schedule, None where nothing is bounded; `resting` are the bytes that are there before the
    step, and `planned_peak` those at its peak, these included. `products` are the operations among `flops` that
    are of products and convolutions, `surplus` those that numpy's convolutions do besides; `seconds` what the step is predicted to take, by
    a calibration of this machine where there is one. `planned_peak` is of arrays; `objects` are the bytes by which Python's objects
    raise the peak of a step on numpy (see `compare.objects`).
    """

    parameters: int
    directions: int | None
    memory: int | None
    flops: dict[str, int]
    transcendentals: dict[str, int]
    products: dict[str, int]
    surplus: dict[str, int]
    convention: str
    planned_peak: int
    timeline: list[Moment]
    resting: int = 0
    seconds: float | None = None
    objects: int = 0


class Done(Message, frozen=True):
    """Reply: it is done, and there is nothing to say of it."""


class Timed(Message, frozen=True):
    """Reply: seconds of each step."""

    samples: list[float]


class Array(msgspec.Struct, frozen=True):
    """The bytes of an array, in C order."""

    shape: tuple[int, ...]
    dtype: str
    data: bytes


class Trained(Message, frozen=True):
    """Reply: the loss of every step, the scores reached (None where there is none) and the parameters at the end."""

    losses: list[float]
    score_train: float | None
    score_test: float | None
    parameters: dict[str, Array]


class Weighed(Message, frozen=True):
    """Reply: bytes of the peak of one step above the resting state, by what they were measured, and what every source says of a step."""

    peak: int | None
    measured_by: str
    truths: list[Truth]


class Failed(Message, frozen=True):
    """Reply: the request failed; `message` is one line, `cause` says what kind of failure it is: `"input"`, `"training"` or `"fault"`."""

    message: str
    cause: str


Request = Prepare | Warm | Time | Train | Weigh
Reply = Progress | Prepared | Done | Timed | Trained | Weighed | Failed

_requests = msgspec.json.Decoder(Request)
_replies = msgspec.json.Decoder(Reply)


def encode(message: Request | Reply) -> bytes:
    """One line, with its end."""
    return msgspec.json.encode(message) + b"\n"


def decode_request(line: bytes) -> Request:
    """The request on a line. Raises `msgspec.DecodeError`."""
    request: Request = _requests.decode(line)
    return request


def decode_reply(line: bytes) -> Reply:
    """The reply on a line. Raises `msgspec.DecodeError`."""
    reply: Reply = _replies.decode(line)
    return reply
