"""`counterfoil api`: one process on its own, or several under gunicorn."""

import asyncio
import os
import signal
import ssl
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import structlog
from aiohttp import GunicornUVLoopWebWorker, GunicornWebWorker, web
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped] # gunicorn has no types
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped] # likewise
from gunicorn.config import Config  # type: ignore[import-untyped] # likewise
from gunicorn.glogging import Logger  # type: ignore[import-untyped] # likewise
from msgspec.structs import replace

from counterfoil.logging import configure
from counterfoil.settings import BadSetting, Settings
from counterfoil.uses.egress import trusted
from counterfoil_api.auth.startup import refuse_wrong_keys
from counterfoil_api.http.aiohttp_internals import gunicorn_worker
from counterfoil_api.http.process import in_the_clear, raise_file_limit
from counterfoil_api.http.tls import tls

log = structlog.get_logger()

SHUTDOWN_SECONDS = 15
"""How long requests under way may take after the service is told to stop."""
_HAS_UVLOOP = find_spec("uvloop") is not None
_WORKER = GunicornUVLoopWebWorker if _HAS_UVLOOP else GunicornWebWorker
_BACKLOG = 1_024
"""Connections that the kernel queues while the process is busy; the system may limit it (net.core.somaxconn)."""


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, finish the requests under way, and return."""
    configure(settings.log_format, settings.log_level)
    context = _checked(settings)
    if settings.api_processes == 1:
        with asyncio.Runner(loop_factory=_loop_factory()) as loop:
            loop.run(_serve(settings, context))
        return
    with tempfile.TemporaryDirectory(prefix="counterfoil-metrics-") as directory:
        shared = settings.prometheus_multiproc_dir or directory
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared
        _Processes(replace(settings, prometheus_multiproc_dir=shared), context).run()


def _checked(settings: Settings) -> ssl.SSLContext | None:
    """Check the settings before anything is served, and return the TLS context."""
    try:
        context = tls(settings)
        trusted(settings)
    except BadSetting as error:
        raise SystemExit(str(error)) from None
    raise_file_limit(settings.max_connections)
    if settings.api_processes > 1:
        asyncio.run(refuse_wrong_keys(settings))
    if in_the_clear(settings):
        log.warning("secrets_travel_in_the_clear", what_to_do="serve https, and set PUBLIC_URL to the https address")
    return context


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    if not _HAS_UVLOOP:
        return asyncio.new_event_loop
    from uvloop import new_event_loop  # noqa: PLC0415 - it is not made for every platform

    return new_event_loop


def _runner(settings: Settings) -> web.AppRunner:
    # Imported late: the Prometheus client reads the environment when it is imported.
    from counterfoil_api.application import make_app  # noqa: PLC0415 - see above
    from counterfoil_api.http.server import Runner  # noqa: PLC0415 - see above

    return Runner(make_app(settings), shutdown_timeout=SHUTDOWN_SECONDS)


async def _serve(settings: Settings, context: ssl.SSLContext | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = _runner(settings)
    await runner.setup()
    try:
        await _listen(runner, settings, context)
        log.info("api_started", address=runner.addresses[0], public_url=settings.public_url)
        await stop.wait()
        log.info("api_stopping")
    finally:
        await runner.cleanup()
    log.info("api_stopped")


async def _listen(runner: web.AppRunner, settings: Settings, context: ssl.SSLContext | None) -> None:
    try:
        site = web.TCPSite(runner, settings.api_host, settings.api_port, ssl_context=context, backlog=_BACKLOG)
        await site.start()
    except OSError as error:
        raise SystemExit(
            f"Cannot listen on {_address(settings)} ({os.strerror(error.errno or 0)}); see API_HOST, API_PORT."
        ) from None


def _address(settings: Settings) -> str:
    host = settings.api_host
    return f"[{host}]:{settings.api_port}" if ":" in host else f"{host}:{settings.api_port}"


class _Processes(BaseApplication):  # type: ignore[misc] # it has no types
    """Several processes on one socket; a process that dies is replaced."""

    def __init__(self, settings: Settings, context: ssl.SSLContext | None) -> None:
        self._settings, self._context = settings, context
        super().__init__()

    def load_config(self) -> None:
        settings = self._settings
        for name, value in {
            "bind": _address(settings),
            "workers": settings.api_processes,
            "worker_class": gunicorn_worker(_WORKER, self._context),
            "backlog": _BACKLOG,
            # The context has loaded them already; naming them makes gunicorn ask its worker for a context.
            "certfile": settings.tls_certificate,
            "keyfile": settings.tls_private_key,
            "graceful_timeout": SHUTDOWN_SECONDS,
            "proc_name": "counterfoil-api",
            "loglevel": "warning",
            "logger_class": _Logger,
            # Otherwise a socket in the home folder lets other users of the machine control the processes.
            "control_socket_disable": True,
            "when_ready": partial(_log_start, settings),
            "on_exit": _log_end,
            "child_exit": _drop_gauges,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Callable[[], object]:
        async def runner() -> web.AppRunner:
            return _runner(self._settings)

        return runner


class _Logger(Logger):  # type: ignore[misc] # it has no types
    """Writes the messages of gunicorn in the format of all other log lines."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        for each in (self.error_log, self.access_log):
            each.handlers.clear()
            each.propagate = True


def _log_start(settings: Settings, arbiter: Arbiter) -> None:
    address, processes = arbiter.LISTENERS[0].sock.getsockname(), settings.api_processes
    log.info("api_started", address=address, public_url=settings.public_url, processes=processes)


def _log_end(_: Arbiter) -> None:
    log.info("api_stopped")


def _drop_gauges(_: Arbiter, worker: object) -> None:
    """Remove the gauges of a process that has ended from the sums."""
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 - see `_runner`

    mark_process_dead(getattr(worker, "pid", 0))  # type: ignore[no-untyped-call] # untyped there
