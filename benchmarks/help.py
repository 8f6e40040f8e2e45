"""Measure the wall time of ``--help`` for every subcommand of `campaign` and `esnet`, each in a separate process.

    python benchmarks/help.py [--rounds 3]

Prints minimum, median and maximum over the rounds for each command, and the slowest command. The target is less than a
second on an idle machine; the exit status does not depend on it.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any


def commands() -> Iterator[list[str]]:
    """Yield the words of every command and group of commands."""
    import typer

    from campaign.cli.app import app as campaign_app
    from esnet.cli.app import app as esnet_app

    for name, app in (("campaign", campaign_app), ("esnet", esnet_app)):
        yield from _inside(typer.main.get_command(app), [name])


def _inside(command: Any, words: list[str]) -> Iterator[list[str]]:
    yield words
    for name, inner in getattr(command, "commands", {}).items():
        yield from _inside(inner, [*words, name])


def wall_s(words: list[str]) -> float:
    """Return the wall time of the process, s."""
    code = f"import sys; sys.argv = {[*words, '--help']!r}; from {words[0]}.cli.main import main; main()"
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="wall time of --help of every subcommand")
    parser.add_argument("--rounds", type=int, default=3, help="of each command (default: 3)")
    rounds = parser.parse_args().rounds
    worst = 0.0
    for words in commands():
        times = [wall_s(words) for _ in range(rounds)]
        middle = statistics.median(times)
        worst = max(worst, middle)
        print(f"{' '.join(words):32s} {min(times):6.2f} {middle:6.2f} {max(times):6.2f} s")
    print(f"slowest median: {worst:.2f} s")


if __name__ == "__main__":
    main()
