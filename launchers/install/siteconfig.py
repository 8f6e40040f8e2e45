"""How GPAW is built: read by GPAW's own setup through the variable GPAW_CONFIG.

Serial (many small calculations in parallel use the cores better than one with MPI), with FFTW and OpenBLAS. Without
``mpi = False`` the build dies on a machine that has half an MPI: the compiler wrapper, but not the headers.
"""

import os

mpi = False
scalapack = False
fftw = True
compiler = os.environ.get("CXX", "g++")
libraries = ["xc", "openblas", "fftw3"]

# Libraries from conda, where an environment is active; those of `module load` are found through CPATH and LIBRARY_PATH.
conda = os.environ.get("CONDA_PREFIX")
if conda:
    include_dirs = [f"{conda}/include"]
    library_dirs = [f"{conda}/lib"]
    runtime_library_dirs = [f"{conda}/lib"]
