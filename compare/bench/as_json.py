"""The table as JSON, made from the records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from compare.bench.records import Line
from compare.bench.summary import MET, MISSED, summarize


def as_json(lines: Iterable[Line]) -> dict[str, Any]:
    """Per row what was compared, the median ratio and its quartiles (null where a peer is absent), the bound, and whether it is kept.

    Units: seconds, operations, bytes. `met` is null without a bound or a ratio.
    """
    run = summarize(lines)
    return {
        "rows": [
            {
                "group": row.measured.group,
                "subject": row.measured.subject,
                "work": row.target.work,
                "against": row.target.against,
                "quantity": row.measured.quantity,
                "ratio": row.ratio,
                "quartiles": [row.lower, row.upper],
                "rounds": row.rounds,
                "bound": row.target.bound,
                "sense": row.target.sense,
                "met": {MET: True, MISSED: False}.get(row.state),
                "absent": row.absence,
                "notes": row.notes,
            }
            for row in run.rows
        ],
        "measured": [
            {
                "group": measured.group,
                "subject": measured.subject,
                "quantity": measured.quantity,
                "values": {entrant.name: [value / entrant.share for value in entrant.values] for entrant in measured.entrants},
            }
            for measured in run.contests
        ],
        "command": run.header.command,
        "created": run.header.created,
        "seconds": run.header.seconds,
        "environment": run.environment,
    }
