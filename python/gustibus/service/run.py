"""Processes: one server on uvicorn, or several that share a port; drain on SIGTERM."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
from dataclasses import replace
from errno import EADDRINUSE
from multiprocessing.process import BaseProcess
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import uvicorn

from gustibus.errors import ConfigError, GustibusError
from gustibus.service.quotas import check_client
from gustibus.service.settings import Settings
from gustibus.service.tracing import check_extra

if TYPE_CHECKING:
    from gustibus.service.connections import Watch
    from gustibus.service.gate import Gate
    from gustibus.service.merging import Figures, Merged

_ACCEPTED = 16  # connections in one turn of the event loop
_IDLE = 75  # seconds between two requests on one connection
_LAST = 1.0  # seconds that transactions get when everything else is to end at once
_HEAPS = 2
_FIGURES = 5.0  # seconds of counts that are lost at most with a process that is killed
_YOUNG = 50_000  # objects made, less those freed, between two looks for garbage among them
_M_ARENA_MAX = -8  # what `mallopt` of glibc calls them


class Server(uvicorn.Server):
    """uvicorn that stops in two steps: not ready at once, closed after the drain."""

    def __init__(self, config: uvicorn.Config, gate: Gate, drain: float, watch: Watch) -> None:
        super().__init__(config)
        self._gate = gate
        self._drain = drain
        self._watch = watch
        self.server_state.connections = watch.connections

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Load and listen; the journal says `ready` when a signal can no longer stop the start."""
        await super().startup(sockets)
        if self.started:
            state = self._gate.state
            model = "" if state.serving is None else state.serving.label
            people, items = len(state.people), len(state.items)
            state.journal.event("ready", model=model, people=people, items=items)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: slow clients are given up."""
        self._watch()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop; the event loop would wait for a task that does not end, so the process leaves it."""
        await super().shutdown(sockets)
        if self._gate.stuck:
            _leave(self._gate)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """First signal: drain; second: leave at once.

        uvicorn's own handler would raise the signal again at the end; this process has then done
        what was asked of it and exits with 0.
        """
        del frame
        state = self._gate.state
        if self.started and (state.draining or self.should_exit):
            state.threads.settle(_LAST)
            _leave(self._gate)
        if sig == signal.SIGINT or not self.started or self._drain == 0:
            self.force_exit = self.should_exit
            self._close()
            return
        state.draining = True
        state.loop.call_soon_threadsafe(state.loop.call_later, self._drain, self._close)

    def _close(self) -> None:
        self._gate.closing = monotonic()
        self.should_exit = True


def _leave(gate: Gate) -> NoReturn:
    """End the process whatever its threads still do: nothing of it was acknowledged."""
    gate.state.journal.event("left")
    os._exit(0)


def share_heaps() -> None:
    """Have the threads of this process take memory from two heaps.

    By itself glibc gives each thread a heap of its own, sixteen on two cores. A connection to the store is
    used by one thread after another, and what one of them gives back is of no use to the others, so
    that each heap grew, for hours, to the most that anything ever took in it. `MALLOC_ARENA_MAX`, where
    it is set, decides instead; other C libraries have no such heaps.
    """
    if not sys.platform.startswith("linux") or "MALLOC_ARENA_MAX" in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _HEAPS)


def serve(
    settings: Settings, *, opened: socket.socket | None = None, figures: Figures | None = None
) -> None:
    """Serve until a signal.

    Args:
        settings: how.
        opened: a listening socket; default one of the settings' address.
        figures: pipes to the process that started this one; default the settings' listener of metrics.

    Raises:
        ConfigError: a setting is wrong, or the address is taken.
        MissingExtraError: requests are to be traced or quotas to be shared, and what does that is missing.
    """
    settings.check()
    check_extra(settings)
    check_client(settings)
    if settings.workers > 1 and opened is None:
        _supervise(settings)
        return
    share_heaps()
    from gustibus.service.app import create_app
    from gustibus.service.connections import ClientConnection, Patience, Watch

    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(message)s"
    )
    gate = create_app(settings, figures)
    patience = Patience(settings.head_timeout, settings.body_timeout, settings.body_rate, _IDLE)
    config = uvicorn.Config(
        gate, host=settings.host, port=settings.port, loop="uvloop", http=ClientConnection, ws="none",
        lifespan="on", access_log=False, log_config=None, server_header=False, proxy_headers=False,
        timeout_graceful_shutdown=settings.finish, backlog=2048, timeout_keep_alive=_IDLE,
    )  # fmt: skip
    watch = Watch(patience, lambda: gate.state.meter.reject("slow"))
    server = Server(config, gate, settings.drain, watch)
    sock = opened or _listen(settings.host, settings.port)
    host, port = sock.getsockname()[:2]
    gate.state.journal.event("listening", host=host, port=port, pid=os.getpid())
    # A full collection would look at the modules each time, a hundred thousand objects that stay: 40 to
    # 90 ms in which nobody is answered, against less than one. What is loaded from here on is not kept.
    gc.collect()
    gc.freeze()
    # A request of thousands of candidates makes as many objects, all of them freed at its end. By default the
    # young ones are looked through each time that there are 700 more, which took a tenth of the event loop.
    gc.set_threshold(_YOUNG)
    # The event loop accepts one connection of each listening socket in a turn, and under overload a turn
    # takes as long as a request may wait: of five hundred new clients half would never be let in.
    server.run(sockets=[sock, *(sock.dup() for _ in range(_ACCEPTED - 1))])
    if not server.started:
        raise SystemExit(3)
    if gate.state.threads.busy:
        _leave(gate)


def work(settings: Settings) -> None:
    """Work on jobs until a signal, without answering requests.

    Raises:
        ConfigError: a setting is wrong, or the store's schema is another.
        MissingExtraError: jobs are to be traced or quotas to be shared, and what does that is missing.
    """
    settings.check()
    check_extra(settings)
    check_client(settings)
    share_heaps()
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(message)s"
    )
    asyncio.run(_work_off(settings))


async def _work_off(settings: Settings) -> None:
    from gustibus.service.app import create_app

    gate = create_app(replace(settings, worker=True))
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end(sig: int, frame: FrameType | None) -> None:
        del sig, frame
        if gate.closing is not None:
            _leave(gate)
        gate.closing = monotonic()
        loop.call_soon_threadsafe(ended.set)

    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, end)
    await gate.start()
    gate.state.journal.event("working", pid=os.getpid())
    await ended.wait()
    await gate.stop()
    if gate.stuck or gate.state.threads.busy:
        _leave(gate)


def _listen(host: str, port: int, *, kind: str = "") -> socket.socket:
    """A socket at an address that the settings of a kind name."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        name, flag = f"GUSTIBUS_{kind}PORT", f"--{kind}port".lower().replace("_", "-")
        taken = f"; {flag} or {name} takes another" if error.errno == EADDRINUSE else ""
        message = (
            f"GUSTIBUS_{kind}HOST, {name}: cannot listen on {host}:{port}: {error.strerror}{taken}"
        )
        raise ConfigError(message, where=name) from None
    sock.set_inheritable(True)
    return sock


def _supervise(settings: Settings) -> None:
    """Run several processes on one socket; one that dies is replaced, a signal ends all of them."""
    from gustibus.service.merging import Figures

    sock = _listen(settings.host, settings.port)
    sock.listen(2048)
    context = multiprocessing.get_context("spawn")
    stopping = False
    merged = _merged(settings)

    def start(place: int) -> BaseProcess:
        if merged is not None:
            asking, own = context.Pipe()
            giving, whole = context.Pipe() if not settings.metrics_port else (None, None)
            figures = Figures(own, whole)
            process = context.Process(target=_work, args=(settings, sock, figures))
            process.start()
            merged.attach(asking)
            if giving is not None:
                merged.give(giving)
            for pipe in figures:
                if pipe is not None:
                    pipe.close()  # so that its end is heard of
            return process
        port = settings.metrics_port + place if settings.metrics_port else 0
        process = context.Process(target=_work, args=(replace(settings, metrics_port=port), sock))
        process.start()
        return process

    def stop(sig: int, frame: FrameType | None) -> None:
        del frame
        nonlocal stopping
        stopping = True
        for process in processes:
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, sig)

    processes = [start(place) for place in range(settings.workers)]
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    asked = monotonic()
    while True:
        for place, process in enumerate(processes):
            process.join(0.2)
            if process.exitcode is not None and not stopping:
                if process.exitcode == 3:  # it could not start; another try would end the same way
                    stop(signal.SIGTERM, None)
                    raise SystemExit(3)
                processes[place] = start(place)
        if merged is not None and monotonic() > asked + _FIGURES:
            merged.ask()
            asked = monotonic()
        if stopping and all(process.exitcode is not None for process in processes):
            return


def _merged(settings: Settings) -> Merged | None:
    """The figures of all processes, at the settings' address if any; None where each shows its own.

    Raises:
        ConfigError: the address is taken.
    """
    if not settings.metrics_merged:
        return None
    from gustibus.service.listener import listen_aside
    from gustibus.service.merging import Merged

    merged = Merged()
    if not settings.metrics_port:
        return merged
    sock = _listen(settings.metrics_host, settings.metrics_port, kind="METRICS_")
    listen_aside(merged.exposition, sock)
    return merged


def _work(settings: Settings, sock: socket.socket, figures: Figures | None = None) -> None:
    """One of several processes; it drains when the one that started it has gone."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def watch() -> None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=watch, daemon=True).start()
    serve(settings, opened=sock, figures=figures)


def main() -> int:
    """Serve as the environment says; what is wrong with it is said in one line."""
    try:
        serve(Settings.from_env())
    except GustibusError as error:
        sys.stderr.write(f"{error.message}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
