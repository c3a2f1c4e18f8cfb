"""Linear algebra on vectors that live on many ranks, and quadrature from its coefficients."""
