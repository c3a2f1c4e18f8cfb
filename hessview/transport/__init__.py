"""How a kernel and a job reach each other."""
