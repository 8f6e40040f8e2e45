"""What the job of test_ray_cluster.py runs: score candidates with the actors of the job's Ray, then wait for SIGINT."""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from esnet.ray.session import ray_session
from esnet.scoring.scoring import stream_predictions


def main(folder: Path, bundle: str) -> None:
    samples = dict(np.load(folder / "samples.npz"))
    ids = samples["ids"].tolist()

    def read(wanted):
        if os.environ["RAY_TMPDIR"].endswith("-1"):
            (folder / "second_node_reads").touch()
            time.sleep(600)  # until its node is lost
        # an actor without work is ended: the first node must not be done before the test has seen both
        while not (folder / "both_were_seen").exists():
            time.sleep(0.2)
        indices = [ids.index(name) for name in wanted]
        return wanted, samples["dos"][indices], samples["compositions"][indices]

    with ray_session(name="alloys/screen/0") as session:
        assert not session.started_here
        batches = stream_predictions(ids, bundle_path=bundle, read_features=read, name="alloys/screen/0", batch_size=2)
        answers = [found for batch in batches for found in batch]
    predictions = {found.id: found for found in answers}
    result = {
        "scored": [[found.id, found.e_form] for found in map(predictions.get, ids)],
        "answered": [found.id for found in answers],
    }
    (folder / "result.part").write_text(json.dumps(result))
    (folder / "result.part").rename(folder / "result.json")
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        sys.exit(7)


main(Path(sys.argv[1]), sys.argv[2])
