"""Wait until a number of nodes have joined a Ray cluster: ``python joined_nodes.py FILE --nodes N --timeout S``.

Only queries the head's GCS: connecting as a driver would appear as a job in the dashboard.
"""

import argparse
import socket
import sys
import time
from pathlib import Path
from typing import Any

_POLL_S = 0.5


def _wait_for_nodes(address_file: Path, *, nodes: int, timeout_s: float) -> int:
    """Return the number of nodes once there are enough, or after ``timeout_s`` seconds.

    The file with the head's ``host:port`` may not exist yet. The token is taken from the environment.
    """
    deadline = time.monotonic() + timeout_s
    found = 0
    client = None
    while found < nodes and time.monotonic() < deadline:
        if client is None:
            client = _connect(address_file)
        if client is not None:
            found = _alive(client)
        if found < nodes:
            time.sleep(_POLL_S)
    return found


def _connect(address_file: Path) -> Any:
    """Return a client of the head's GCS; None while the head is still starting."""
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    try:
        host, port = address_file.read_text(encoding="utf-8").strip().rsplit(":", 1)
        # Ray's client waits long, and logs errors, if no process listens yet
        socket.create_connection((host, int(port)), timeout=2.0).close()
    except OSError:
        return None
    return GcsClient(address=f"{host}:{port}")


def _alive(client: Any) -> int:
    from ray.core.generated.gcs_pb2 import GcsNodeInfo
    from ray.exceptions import RpcError

    try:
        nodes = client.get_all_node_info(timeout=5).values()
    except RpcError:
        return 0  # it listens but cannot answer yet
    return sum(node.state == GcsNodeInfo.GcsNodeState.ALIVE for node in nodes)


def main() -> None:
    """Entry point; exits with 1 if nodes are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address_file", type=Path, help="has host:port of the head")
    parser.add_argument("--nodes", type=int, required=True)
    parser.add_argument("--timeout", type=float, required=True, help="seconds")
    options = parser.parse_args()
    found = _wait_for_nodes(options.address_file, nodes=options.nodes, timeout_s=options.timeout)
    if found < options.nodes:
        sys.exit(f"only {found} of {options.nodes} nodes have joined in {options.timeout:g} s")


if __name__ == "__main__":
    main()
