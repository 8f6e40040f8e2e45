"""The command `campaign`: what its subcommands are called, their options, and their help."""
