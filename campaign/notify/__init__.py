"""Notify a person that a campaign is finished, is stuck, or has found something."""
