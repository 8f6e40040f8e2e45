"""Predictions for many candidates in Ray actors."""
