"""What travels and what stays: commands, events, the log, and the datasets that it folds into.

It imports nothing of hessview but `wording`, `extensions`, `errors` and `_version`, and no torch.
It offers one table for each fact (`measurements` of commands, `operator_facts` of operators),
`collect` and `log` (from events to datasets), and `provenance` (`ds.hessview`).
"""
