"""``python -m workflows.gpaw_vasp``."""

import sys

from workflows.gpaw_vasp.program import main

if __name__ == "__main__":
    sys.exit(main())
