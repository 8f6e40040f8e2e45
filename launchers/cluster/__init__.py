"""Queues of a cluster: the files that qlaunch reads, jobs for what is ready, many short jobs in one allocation."""
