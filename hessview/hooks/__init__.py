"""Jobs inside the training loops of other libraries, such as transformers' Trainer.

It may import `job` and what lies below, and offers `trainer.TrainerCallback`.
"""
