"""Notifications sent about a campaign."""
