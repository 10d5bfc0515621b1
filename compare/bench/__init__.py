"""The benchmark: both engines against their peers and against bounds that they are wanted to keep. `python -m compare bench`.

Groups of contests (`compare.bench.groups`) measure seconds, operations and bytes; what they find is kept as records, and the table, the
page and the JSON are made from the records alone. A benchmark, not a test: targets that are missed are shown, not raised.
"""
