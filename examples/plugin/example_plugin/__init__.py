"""A scorer and a policy of one's own; docs/how-to/plugin.md explains them."""
