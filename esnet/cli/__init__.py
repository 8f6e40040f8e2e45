"""The command `esnet`: its subcommands, their options, and their help."""
