"""An HTTP workload in Python: the standard library only, a thread a connection, one asset from the spore."""

import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAGE = Path(__file__).parent / "files" / "index.html"


def environment(name: str, default: str) -> str:
    return os.environ.get(name) or default


def who() -> str:
    app = environment("MESH_APP", "python")
    version = environment("MESH_VERSION", "unversioned")
    replica = environment("MESH_REPLICA", "alone")
    node = environment("MESH_NODE", "this machine")
    return f"{app} {version}, replica {replica} on {node}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one write, or a small answer waits 40 ms for an ACK

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/health":
                self.answer(200, "ok\n")
            case "/hello":
                self.answer(200, f"{environment('GREETING', 'hello')} from {who()}\n")
            case "/":
                self.answer(200, PAGE.read_text().replace("{{who}}", who()), "text/html; charset=utf-8")
            case _:
                self.answer(404, "not found\n")

    do_HEAD = do_GET

    def answer(self, status: int, text: str, kind: str = "text/plain; charset=utf-8") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_request(self, *_) -> None:
        """The edge logs requests."""


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
    # `shutdown` waits for the loop it is called in, hence the thread
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"python listening on port {server.server_port}", flush=True)
    server.serve_forever(poll_interval=0.05)
    server.socket.close()


if __name__ == "__main__":
    sys.exit(main())
