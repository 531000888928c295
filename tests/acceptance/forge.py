"""A forge: a bare repository behind `git http-backend`, with the hooks, refusals and stops that real ones have."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

Mood = Literal["willing", "stops", "forbids", "hangs up"]


class Forge(ThreadingHTTPServer):
    """Serves the repositories in a folder on loopback, also to those who push."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.folder = folder
        self.mood: Mood = "willing"
        self.credentials: str | None = None
        self.released = threading.Event()
        self.stopped = False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, name: str, credentials: str = "") -> str:
        return f"http://{f'{credentials}@' if credentials else ''}127.0.0.1:{self.server_address[1]}/{name}"

    def admit(self, name: str, password: str) -> None:
        """Serve only those who know this."""
        self.credentials = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()

    def close(self) -> None:
        self.released.set()
        self.shutdown()
        self.server_close()


class _Answering(BaseHTTPRequestHandler):
    server: Forge

    def do_POST(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        pushing = path.endswith("/git-receive-pack") or "git-receive-pack" in query
        if self.server.credentials not in (None, self.headers.get("Authorization")):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()
            return
        if pushing and self.server.mood == "forbids":
            self.send_response(403)
            self.end_headers()
            return
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.command == "POST" and pushing and self.server.mood in ("stops", "hangs up"):
            self.server.stopped = True
            if self.server.mood == "stops":
                self.send_response(200)
                self.send_header("Content-Type", "application/x-git-receive-pack-result")
                self.end_headers()
                self.wfile.flush()
                self.server.released.wait(60)
            self.close_connection = True
            return
        environment = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.server.folder), "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("content-type", ""), "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": self.headers.get("git-protocol", ""), "REMOTE_ADDR": "127.0.0.1", "REMOTE_USER": "somebody",
        }  # fmt: skip
        ended = subprocess.run(["git", "http-backend"], input=body, stdout=subprocess.PIPE, env=environment, check=False)
        head, _, content = ended.stdout.partition(b"\r\n\r\n")
        headers = [line.split(": ", 1) for line in head.decode().split("\r\n") if line]
        self.send_response(next((int(value.split()[0]) for key, value in headers if key.lower() == "status"), 200))
        for key, value in headers:
            if key.lower() != "status":
                self.send_header(key, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        pass
