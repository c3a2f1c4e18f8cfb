"""From a run's dataset to numbers with their errors: torch-free, and without drawing.

It may import `record`, `transport.trust`, `spectral`'s quadrature and bounds, and what lies below.
It offers `summary.summary` (every command in a few numbers), `ritz.ritz` and
`density.spectral_density`, a room for each command's own numbers, and what joins and compares runs
(`training`, `compare`, `grouping`, `store`).
"""
