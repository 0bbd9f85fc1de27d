#!/usr/bin/env python3
"""Takes the alerts of diogenes, believes only what is signed, and prints each once.

    receiver.py [--listen ADDRESS:PORT] --secret-file FILE

FILE holds one secret a line, the same as diogenes' alerts.webhook_secret_file: `whsec_` and base64, or any text. While
a secret is replaced, both may stand there. The signature is that of the Standard Webhooks specification, so any of its
libraries can do what verify() does. Nothing but Python's standard library is needed.
"""

import argparse
import base64
import collections
import hashlib
import hmac
import http.server
import json
import pathlib
import sys
import time

TOLERANCE_S = 300  # older calls may be somebody's recording
MAX_BODY_BYTES = 1 << 20  # far more than an alert has
REMEMBERED = 10_000  # ids, to know a repetition: a call is made again when its answer was lost


def read_secrets(text):
    """The keys in a file of secrets."""
    lines = [line.strip() for line in text.splitlines()]
    keys = []
    for line in lines:
        if line.startswith("whsec_"):
            base = line.removeprefix("whsec_")
            keys.append(base64.b64decode(base + "=" * (-len(base) % 4), validate=True))
        elif line and not line.startswith("#"):
            keys.append(line.encode())
    if not keys:
        raise ValueError("no secret in it")
    return keys


def verify(keys, headers, body, now):
    """Whether the call is from somebody who knows a key, and is made now; says why not."""
    try:
        ident, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        signatures = headers["webhook-signature"].split(" ")
        age = abs(now - int(timestamp))
    except (KeyError, TypeError, AttributeError, ValueError):
        return "it is not signed"
    if age > TOLERANCE_S:
        return f"it is {age:.0f} s old, or a clock is wrong"
    content = f"{ident}.{timestamp}.".encode() + body
    for key in keys:
        digest = hmac.new(key, content, hashlib.sha256).digest()
        expected = b"v1," + base64.b64encode(digest)
        if any(hmac.compare_digest(expected, signature.encode()) for signature in signatures):
            return None
    return "its signature is not that of a known secret"


class Receiver(http.server.BaseHTTPRequestHandler):
    """One call. `keys` and `seen` are the server's."""

    timeout = 10  # a peer that says nothing holds no thread for ever

    def do_POST(self):
        try:
            length = int(self.headers["content-length"])
        except (TypeError, ValueError):
            return self.answer(411, "say how long it is")
        if not 0 <= length <= MAX_BODY_BYTES:
            return self.answer(413, "too long")
        body = self.rfile.read(length)
        wrong = verify(self.server.keys, self.headers, body, time.time())
        if wrong:
            return self.answer(401, wrong)
        ident = self.headers["webhook-id"]
        if ident not in self.server.seen:
            try:
                alert = json.loads(body)
                print(alert["timestamp"], alert["text"], flush=True)
            except (ValueError, KeyError, TypeError):
                return self.answer(400, "this is no alert")
            self.server.seen[ident] = True
            if len(self.server.seen) > REMEMBERED:
                self.server.seen.popitem(last=False)
        return self.answer(204)

    def answer(self, status, why=""):
        if why:
            print(f"refused: {why}", file=sys.stderr, flush=True)
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", str(len(why)))
        self.end_headers()
        self.wfile.write(why.encode())

    def log_message(self, *_):
        """The alerts are what is to be seen."""


def serve(address, port, keys):
    """A server that is ready to serve_forever()."""
    server = http.server.ThreadingHTTPServer((address, port), Receiver)
    server.keys, server.seen = keys, collections.OrderedDict()
    return server


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--listen", default="127.0.0.1:9000", metavar="ADDRESS:PORT")
    arguments.add_argument("--secret-file", required=True, type=pathlib.Path, metavar="FILE")
    given = arguments.parse_args()
    address, _, port = given.listen.rpartition(":")
    try:
        keys = read_secrets(given.secret_file.read_text())
    except (OSError, ValueError) as error:
        sys.exit(f"receiver.py: {given.secret_file}: {error}")
    server = serve(address.strip("[]"), int(port), keys)
    print(f"listening on http://{address}:{server.server_port}/", file=sys.stderr, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
