"""The experiments, one file per claim. Each has a `CLAIM`, which `compare.notes.catalogue` loads by name."""
