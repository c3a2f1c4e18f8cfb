"""Scripts that `torchrun` starts on several ranks; tests read what they save.

In tests/: torchrun --nproc-per-node 2 -m ranks.numerics FILE
"""
