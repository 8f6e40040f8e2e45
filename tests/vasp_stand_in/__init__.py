"""A stand-in for VASP in tests: the program ``vasp_std``, and header-only POTCARs in the layouts of real sites.

``vasp_std`` reads INCAR, POSCAR, KPOINTS and POTCAR, and writes a line for each start. Its outputs are vasp-gpaw's,
replayed where the same inputs were computed before, with the versions and peculiarities of VASP 5.4.4 or 6; or those
of a genuine run of VASP; or what is left of a run that died. No number in them is VASP's, but for the genuine ones.

Environment: ``VASP_STAND_IN`` is its folder (`vasp_stand_in.control`), ``VASP_STAND_IN_VERSION`` the VASP that it
plays (``5.4.1``, ``5.4.4`` or ``6.4.2``), ``VASP_STAND_IN_RANKS`` how many MPI ranks it says it runs on.
"""
