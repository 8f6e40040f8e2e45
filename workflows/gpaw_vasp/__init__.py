"""The program ``vasp-gpaw``: plane-wave PBE with GPAW, reading and writing VASP's files.

It is run in a working directory (``vasp-gpaw`` or ``python -m workflows.gpaw_vasp``) and never imported by a campaign,
except for :mod:`workflows.gpaw_vasp.potcars`, which lists the elements it can compute and makes the header-only POTCAR
files required by VASP's input sets.
"""
