"""Proxy to the database on the login node: ``python -m launchers.cluster.proxy``.

It listens where compute nodes can reach it and forwards every connection unchanged to the database. It does not
interpret MongoDB's protocol; password and TLS stay between the nodes and the database.
"""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Sequence

logger = logging.getLogger(__name__)

_CHUNK = 65536
_CONNECT_S = 10.0


async def _serve(listen: tuple[str, int], target: tuple[str, int]) -> asyncio.Server:
    """Listen and forward connections.

    Parameters
    ----------
    listen
        Host or address to listen on, and port (0 for any free one).
    target
        Host and port of the database.

    Returns
    -------
    The listening server.
    """

    async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.wait_for(asyncio.open_connection(*target), _CONNECT_S)
        except (OSError, TimeoutError) as error:
            logger.warning("%s:%d does not answer: %s", *target, error or "no answer in time")
            writer.close()
            return
        await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))

    return await asyncio.start_server(hand_on, *listen)


async def _copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    """Copy until one side closes; the other side is then closed too."""
    with contextlib.suppress(ConnectionError):
        while data := await source.read(_CHUNK):
            to.write(data)
            await to.drain()
    to.close()


def address(text: str) -> tuple[str, int]:
    """Parse ``host:port``, with IPv6 addresses in brackets.

    Raises
    ------
    ValueError
        If it is not of that form.
    """
    host, sign, port = text.rpartition(":")
    if not sign or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"found {text!r}, should be host:port")
    return host.strip("[]"), int(port)


async def _run(listen: tuple[str, int], target: tuple[str, int]) -> None:
    server = await _serve(listen, target)
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    for socket in server.sockets:
        logger.info("listening on %s:%d for %s:%d", *socket.getsockname()[:2], *target)
    await over.wait()
    server.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m launchers.cluster.proxy``."""
    parser = argparse.ArgumentParser(prog="python -m launchers.cluster.proxy", description=__doc__)
    parser.add_argument("--listen", type=address, required=True, help="address of this node that compute nodes reach")
    parser.add_argument("--to", type=address, required=True, help="host:port of the database")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    asyncio.run(_run(options.listen, options.to))
    return 0


if __name__ == "__main__":
    sys.exit(main())
