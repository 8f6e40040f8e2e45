"""Python imports this at every start while this folder is on PYTHONPATH: the engine then plays back what it can."""

import os
import sys

if "CHAOS_RECORDED" in os.environ and sys.orig_argv[-2:] == ["-m", "workflows.gpaw_vasp"]:
    from engine_playback import play_or_record

    play_or_record()
