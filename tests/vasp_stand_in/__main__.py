"""``python -m vasp_stand_in``, which the executable ``vasp_std`` calls."""

from vasp_stand_in.program import main

main()
