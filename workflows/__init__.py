"""One candidate's calculations: IS-DOS single point and relaxation, by VASP or by GPAW behind VASP's files."""
