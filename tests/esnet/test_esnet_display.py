"""What commands say while they train and tune, in files and pipes, in threads, and where Ray fails."""

import os
import subprocess
import sys
import threading
from io import StringIO

import pytest
from rich.console import Console

from esnet.commands import train
from esnet.files.quiet import without_chatter


def test_chatter_is_held_back_by_threads_that_overlap(capfd):
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()
    before = os.fstat(2)

    def first():
        with without_chatter():
            first_in.set()
            assert second_in.wait(30)
        first_out.set()

    def second():
        assert first_in.wait(30)
        with without_chatter():
            second_in.set()
            assert first_out.wait(30)
            os.write(2, b"I0000 00:00:17 chatter\nsaid by the second\n")

    threads = [threading.Thread(target=target) for target in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert os.path.samestat(os.fstat(2), before)
    os.write(2, b"said afterwards\n")
    assert capfd.readouterr().err == "said by the second\nsaid afterwards\n"


def test_the_last_epoch_of_a_training_that_stops_early_is_printed():
    out = StringIO()
    with train._display(Console(file=out, width=200), members=2, epochs=1000) as show:
        for member, last in ((1, 7), (2, 9)):
            for epoch in range(1, last + 1):
                show(member, epoch, {"loss": epoch / 10})
    lines = [line.split("UTC  ")[1] for line in out.getvalue().splitlines()]
    assert lines == [
        "network 1/2: epoch 1/1000  loss 0.1",
        "network 2/2: epoch 1/1000  loss 0.1",
        "network 1/2: epoch 7/1000  loss 0.7",
        "network 2/2: epoch 9/1000  loss 0.9",
    ]


def test_a_ray_that_cannot_show_a_trial_ends_no_study():
    script = (
        "import logging\n"
        "from esnet.tuning.study import Trial\n"
        "from esnet.tuning.trial_actors import TrialActors\n"
        "logging.basicConfig(format='%(message)s')\n"
        "actors = TrialActors('study')\n"
        "actors.show(Trial(name='trial-001', parameters={}))\n"
        "actors._actors['trial-002'] = object()\n"
        "actors.close()\n"
        "assert not actors._actors\n"
        "print('still here')\n"
    )
    # no Ray is there, and none is started for it
    environment = {**os.environ, "RAY_ENABLE_AUTO_CONNECT": "0"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout == "still here\n", done.stderr
    assert done.stderr.count("Ray's dashboard does not show the trials as they are: ") == 2, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.keras
def test_what_training_begins_with_says_nothing():
    code = (
        "from esnet.training.network import require_tensorflow; require_tensorflow(); import keras; keras.ops.ones(2)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
