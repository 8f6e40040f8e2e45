"""A TCP proxy in front of mongod that can refuse, stall, delay and cut connections; it runs in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable

_START_S = 30.0


class TcpProxy:
    """Passes connections to `port` of 127.0.0.1 on to `target`, until it is told otherwise.

    Attributes
    ----------
    port
        Where it listens.
    cuts
        Connections cut so far before an answer came back.
    """

    def __init__(self, port: int, target: int) -> None:
        self.cuts = 0
        self.port, self._target = port, target
        self._mode, self._delay_s, self._to_cut = "pass", 0.0, 0
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._listens = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"proxy-{port}", daemon=True)
        self._thread.start()
        if not self._listens.wait(_START_S):
            raise RuntimeError(f"the proxy does not listen on port {port}")

    def pass_on(self) -> None:
        """Pass everything on, at once."""
        self._mode, self._delay_s, self._to_cut = "pass", 0.0, 0

    def refuse(self) -> None:
        """Close every connection, and each new one as it comes."""
        self._mode = "refuse"
        self.close_all()

    def stall(self) -> None:
        """Keep every connection open and let nothing through."""
        self._mode = "stall"

    def delay(self, seconds: float) -> None:
        """Let every answer and every question wait."""
        self._delay_s = seconds

    def cut_answers(self, number: int) -> None:
        """Let so many of the next questions through and close their connections before the answer."""
        self._to_cut = number

    def close_all(self) -> None:
        """Close every connection once."""
        self._call(lambda: [writer.transport.abort() for writer in list(self._open)])

    def stop(self) -> None:
        """Close everything, and end the thread."""
        self.close_all()
        self._call(self._loop.stop)
        self._thread.join(5.0)

    def _call(self, function: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(function)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_server(self._handle, "127.0.0.1", self.port))
        self._listens.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == "refuse":
            writer.transport.abort()
            return
        try:
            from_target, to_target = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, to_target}
        self._open |= both
        asked: list[bool] = []
        try:
            await asyncio.gather(
                self._pump(reader, to_target, asked, is_question=True),
                self._pump(from_target, writer, asked, is_question=False),
            )
        finally:
            self._open -= both

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to_cut: list[bool], *, is_question: bool
    ) -> None:
        try:
            while data := await reader.read(65536):
                while self._mode == "stall":
                    await asyncio.sleep(0.1)
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                if is_question and self._to_cut > 0:
                    self._to_cut -= 1
                    to_cut.append(True)
                elif not is_question and to_cut:
                    self.cuts += 1
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            # half a connection would leave the other side waiting for ever
            writer.transport.abort()
