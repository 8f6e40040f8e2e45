"""Build configuration of GPAW, read by its setup through the variable GPAW_CONFIG.

Serial (many small calculations in parallel use the cores better than one with MPI), with FFTW and OpenBLAS. Without
``mpi = False`` the build fails on a machine with an MPI compiler wrapper but no headers.
"""

import os

mpi = False
scalapack = False
fftw = True
compiler = os.environ.get("CXX", "g++")
libraries = ["xc", "openblas", "fftw3"]

# Libraries of an active conda environment; those of `module load` are found through CPATH and LIBRARY_PATH.
conda = os.environ.get("CONDA_PREFIX")
if conda:
    include_dirs = [f"{conda}/include"]
    library_dirs = [f"{conda}/lib"]
    runtime_library_dirs = [f"{conda}/lib"]
