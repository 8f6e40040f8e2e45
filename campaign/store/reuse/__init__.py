"""Calculations that one campaign takes over from another one."""
