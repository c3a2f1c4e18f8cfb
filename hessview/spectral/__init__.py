"""Linear algebra on vectors that live on many ranks, and quadrature from its coefficients.

It imports nothing of hessview but `errors`. It offers `vectors.Space`, `lanczos`, `blocks` (torch),
and `quadrature`, `bounds` and `ghosts` (numpy).
"""
