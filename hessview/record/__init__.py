"""What is asked, what happened, and the datasets that it folds into; torch is not known here.

`commands` and `job_options` are what a user may ask for, `measurements` and `operator_facts` the
two tables from which all others learn what there is. `events` and `log` are the record on disk,
and `collect` folds it into the datasets of `schema`. These rooms may import each other downwards (see
the contracts in pyproject.toml), and beside them `errors`, `extensions` and `wording`.
"""
