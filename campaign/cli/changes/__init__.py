"""Commands that change a running campaign: names, options, help."""
