"""Layers written once. What has parameters is bound per engine by a thin subclass in `revdiff.nn` and `dualdiff.nn`."""
