"""Implementation of each command of `campaign`, one file per command or group; `campaign.cli` declares their
options.
"""
