"""A scorer and a policy of one's own; docs/plugin.md explains them."""
