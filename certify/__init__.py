"""PROOF: the independent checker of a plan. Shares no code with the solver; exact integers, one streaming pass.

`certify.check.check(instance, out)` re-derives everything that a certificate says from the arcs, the limits and the
integer prices, and refuses what it cannot.
"""
