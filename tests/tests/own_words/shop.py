"""A server with an access log, on the port that it is told; ready as long as there is no file /tmp/broken."""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        broken = self.path == "/internal/ready" and os.path.exists("/tmp/broken")
        self.send_response(503 if broken else 200)
        self.end_headers()
        self.wfile.write(b"no stock\n" if broken else b"well\n")

    do_HEAD = do_GET

    def log_message(self, _format, *_args):
        with open(f"/tmp/access-{self.server.server_port}.log", "a") as log:
            log.write(f"{self.command} {self.path}\n")


ThreadingHTTPServer(("", int(sys.argv[1])), Server).serve_forever()
