"""The kernel side: a handle on a job and on its runs.

It may import `transport`, `record` and what lies below, and offers `connect.attach`, `watch` and
`local`, `launch.launch`, `session.Session`, `run.Run` and `jobs.jobs`. How they look in a notebook
is found by name (`extensions.LOOKS`), so that a page is loaded only where something is displayed.
"""
