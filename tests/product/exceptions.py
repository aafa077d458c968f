"""Cells that are further from the truth than the product allows, each with the reason why that is right.

`of` says of a cell (a dictionary of its columns) whether it is meant; `up_to` is the worst that is known, in units of the bound: what
gets worse than that is wrong again.
"""

EXCEPTIONS = []
