"""The command `campaign`: its subcommands, their options, and their help."""
