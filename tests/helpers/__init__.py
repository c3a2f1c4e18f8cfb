"""What tests share: toys to differentiate, emulated records, jobs and pages to start, oracles.

Scripts that run on ranks of their own lie in tests/ranks; what a user's scripts would be, which
jobs load by name, in tests/jobs.
"""
