"""What each command measures on the ranks, an estimator a room.

An estimator is called with its command, the loss and the operator, and yields readings; `base` has
what all need. `record.measurements` says which command it answers.
"""
