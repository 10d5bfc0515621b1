"""What the notes claim, shown by running it: thirteen experiments with both engines, their records, verdicts and page.

catalogue   what is claimed: number, name, title and the claim's own words
claim       what an experiment is: what it measures, the criteria its verdict is computed from, its figure and table
claims/     the experiments, one file each
bench       what they share: both engines, their differences, operations, bytes, seconds and slopes
records     what they leave: one JSON object a line
runner      running those that are not recorded yet
charts, page   the page, made from the records alone
"""
