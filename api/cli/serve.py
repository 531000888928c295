"""accord-api serve."""

from __future__ import annotations

import logging
import os

import click

from api.cli.operator import at_work, database_option


@click.command(
    "serve",
    epilog="""\b
Examples:
  accord-api serve
  accord-api serve --database postgresql://accord_api@db.example.org/accord --listen 0.0.0.0:8080
  accord-api serve --server granian --workers 2
  ACCORD_TRUSTED_PROXIES=10.20.0.5,10.20.0.6 accord-api serve --log-format json
""",
)
@database_option
@click.option(
    "--listen", metavar="HOST:PORT", help="Where to listen; else ACCORD_LISTEN, else 127.0.0.1:8080. Port 0 picks a free port."
)
@click.option("--server", type=click.Choice(["waitress", "granian"]), default="waitress", show_default=True)
@click.option("--threads", metavar="NUMBER", help="Threads that answer requests, per process; else ACCORD_THREADS, else 8.")
@click.option("--workers", metavar="NUMBER", help="Processes, with Granian; else ACCORD_WORKERS, else 1.")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="Else ACCORD_LOG_FORMAT, else text.")
@click.option("--verbose", "log_level", flag_value="debug", help="Log every request; else ACCORD_LOG_LEVEL, else info.")
def command(server: str, **options: str | None) -> None:
    """Serve the API and deliver mail until SIGTERM or Ctrl-C. Requests and mails in progress are finished."""
    from api import logs
    from api.serving.advice import advice
    from api.settings import Misconfigured, open_leaked, read_settings
    from reconciler.process import release_signals

    release_signals()  # a server ends once it has answered what it accepted
    settings = read_settings(options)
    logs.configure(settings.log_format, settings.log_level)

    log = logging.getLogger("accord.api")
    with at_work(options) as operator:  # report problems with the database here, once, and not in every worker
        told = list(advice(settings, operator.database, server))

    def ready(url: str) -> None:
        for each in told:
            log.warning("%s", each)
        if settings.metrics_listen is None and not settings.metrics_token:
            log.info("nobody can read /metrics; to serve them, set ACCORD_METRICS_LISTEN or ACCORD_METRICS_TOKEN")
        log.info("listening on %s", url)

    if server == "waitress":
        from api.serving.waitress import serve_waitress

        serve_waitress(settings, ready)
        return
    from api.serving.granian import serve_granian

    open_leaked(settings)  # the same here: a file that cannot be searched
    os.environ.update({f"ACCORD_{name.upper()}": value for name, value in options.items() if value})
    try:
        serve_granian(settings, ready)
    except ModuleNotFoundError:
        raise Misconfigured("Granian needs Accord's extra `fast`; install Accord again with that extra") from None
