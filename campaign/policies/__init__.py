"""Policies, which choose the predictions promoted to a relaxation. Pure: no database."""
