"""The kernel side: a handle on a job and on its runs."""
