"""Calculations of one candidate: IS-DOS single point and relaxation, with VASP or with GPAW through VASP's files."""
