"""Prototype crystals: those that ship with the project (`shipped.yaml`) and how they are read (`library`)."""
