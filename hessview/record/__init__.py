"""What travels and what stays: commands, events, the log, and the dataset that it folds into."""
