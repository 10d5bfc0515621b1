"""A measuring process: answers requests on standard input until it ends. Run as `python -m compare.worker` by `compare.workers`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import BinaryIO

from compare.errors import InputError, TrainingError, account, one_line
from compare.messages import Failed, Prepare, Progress, Reply, Request, Time, Train, Warm, Weigh, decode_request, encode
from compare.subject import Subject


def main() -> None:
    """Answer requests until standard input ends."""
    replies = _take_stdout()

    def say(reply: Reply) -> None:
        replies.write(encode(reply))
        replies.flush()

    subject: Subject | None = None
    for line in sys.stdin.buffer:
        try:
            request = decode_request(line)
            if isinstance(request, Prepare):
                subject = Subject(request.settings, request.strategy)
                say(subject.prepare())
            elif subject is None:
                say(Failed("asked to work before it was told on what", "fault"))
            else:
                say(answer(subject, request, lambda done: say(Progress(done))))
        except TrainingError as error:
            say(Failed(one_line(error), "training"))
        except InputError as error:
            say(Failed(one_line(error), "input"))
        except Exception as error:  # whatever it is, its owner is told; the process stays for the next request
            say(Failed(account(error), "fault"))


def answer(subject: Subject, request: Request, heard: Callable[[int], None]) -> Reply:
    """What `subject` replies to `request`; `heard` is told of steps done on the way."""
    match request:
        case Warm(steps):
            return subject.warm(steps)
        case Time(samples, least, seconds):
            return subject.time(samples, least, seconds)
        case Train(steps, dtype):
            return subject.train(steps, dtype, heard)
        case Weigh(dear):
            return subject.weigh(dear=dear)
        case _:
            raise TypeError(f"no answer to {type(request).__name__}")


def _take_stdout() -> BinaryIO:
    """Standard output for replies alone: whatever else prints there, prints to standard error from now on."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:  # the owner is gone, and so is everyone who could hear of it
        os._exit(1)
