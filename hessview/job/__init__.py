"""The torchrun side: a model, its data, and a worker that answers commands."""
