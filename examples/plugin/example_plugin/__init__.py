"""A scorer and a policy of your own; docs/how-to/plugin.md explains them."""
