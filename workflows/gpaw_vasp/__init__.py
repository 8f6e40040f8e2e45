"""The program ``vasp-gpaw``: VASP's files in and out, plane-wave PBE with GPAW in between.

It is run in a working directory (``vasp-gpaw`` or ``python -m workflows.gpaw_vasp``), never imported by a
campaign, except for :mod:`workflows.gpaw_vasp.potcars`, which says which elements it can compute and makes
the header-only POTCAR files that VASP's input sets ask for.
"""
