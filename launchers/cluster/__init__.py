"""Queues of a cluster: files for qlaunch, jobs for ready fireworks, many short fireworks in one job."""
