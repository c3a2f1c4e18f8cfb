"""Curvature operators: matrix-vector products that never form the matrix."""
