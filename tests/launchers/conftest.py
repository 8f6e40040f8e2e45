"""A mongod as an administrator would run it: with users, TLS, or without a replica set."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.errors import PyMongoError

from launchers.mongod.binary import find_mongod

StartMongod = Callable[..., int]


@pytest.fixture
def start_mongod(free_port: Callable[[], int], tmp_path: Path) -> Iterator[StartMongod]:
    """Function (data_dir, *options, port=None, **how to ask it) that returns the port of a mongod of ours."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(data_dir: Path, *options: str, port: int | None = None, **client: Any) -> int:
        data_dir.mkdir(exist_ok=True)
        port = port or free_port()
        command = [str(find_mongod()[0]), "--dbpath", str(data_dir), "--bind_ip", "127.0.0.1", "--port", str(port)]
        command += ["--nounixsocket", "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64", *options]
        log = tmp_path / f"mongod-{port}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        processes.append(process)
        deadline = time.monotonic() + 60
        with pymongo.MongoClient(
            "127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=500, **client
        ) as asking:
            while True:
                try:
                    hello = asking.admin.command("hello")
                    if hello["isWritablePrimary"] or ("setName" not in hello and "--replSet" in options):
                        return port
                except PyMongoError:
                    pass
                assert process.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < deadline, log.read_text()[-2000:]
                time.sleep(0.05)

    yield start
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(timeout=60)
