"""How long the harness takes: measured against another way within one run, kept, and drawn.

A measurement is a value of `measurements.py`: its ways of doing one thing, and what is promised of
them. Rounds, medians, promises and the page are pure functions of results. `bench.py` and
`by_hand.py` are the edges: they run the commands that a person would.
"""
