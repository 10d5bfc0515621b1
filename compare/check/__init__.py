"""Whether every kernel agrees with itself, with both engines, on every backend, to second order, and with the oracles outside.

`table.CHECKS` is the list of named checks; each says of one row of the scenario table whether it holds. The tests and `python -m compare
check` run the same ones. `trial.trial(row)` holds what several checks need of a row, so that it is worked out once. Importing this package
loads nothing; `runner` loads the engines.
"""
