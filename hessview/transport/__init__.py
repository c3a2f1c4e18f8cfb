"""How a kernel and a job reach each other: the run directory, its small files, and RPC.

It may import `record` and what lies below. It offers `channel` (how a kernel hears a job), `host`
and `mailbox` (how a job answers), and `run_directory`; `agent` alone names torch.distributed.rpc.
"""
