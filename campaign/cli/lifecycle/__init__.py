"""Commands that manage whole campaigns: names, options, help."""
