"""The figures of the page, as SVG text that takes its colours and its font from the page around it."""

from __future__ import annotations

from compare.report.charts.arithmetic import arithmetic_chart
from compare.report.charts.losses import agreement_chart, training_chart
from compare.report.charts.memory import memory_chart
from compare.report.charts.timing import timing_chart

__all__ = ["agreement_chart", "arithmetic_chart", "memory_chart", "timing_chart", "training_chart"]
