"""What a command measures, an estimator each."""
