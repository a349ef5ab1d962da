"""Odd and broken inputs, what must come of each, and the process to try them in."""

from bad_inputs import misuse, rows, settings, sparse, targets

FAMILIES = (rows, sparse, targets, settings, misuse)
CASES = {case.name: case for family in FAMILIES for case in family.CASES}
