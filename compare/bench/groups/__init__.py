"""The groups of contests, each in a file of its name: `contests(wanted)` says what is measured and which ratios are looked at."""
