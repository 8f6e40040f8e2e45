"""Live page: the output of `campaign report` for a running campaign, over HTTP, read-only."""
