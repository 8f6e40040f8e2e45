"""The live page: what `campaign report` writes, from a running campaign, over HTTP. Read-only."""
