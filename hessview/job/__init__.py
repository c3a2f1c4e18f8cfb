"""The torchrun side: a model, its data, and a worker on each rank that answers commands.

It may import `operators`, `spectral`, `record` and `transport`, and nothing of datasets or drawing.
It offers `objective.Objective` (what is differentiated), `serve.serve` and `job.Job` (what answers
notebooks), and `linear_operator.operator` (curvature for one's own code). `worker` carries commands
out by the `estimators`, on the loss that `loss` computes over the shards of `sharding`, with a
module that `fsdp` borrows and `checks` has judged; `control` keeps the ranks together.
"""
