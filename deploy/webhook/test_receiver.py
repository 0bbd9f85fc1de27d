"""python3 -m unittest discover deploy/webhook"""

import contextlib
import http.client
import io
import json
import threading
import time
import unittest

import receiver

# The example that the specification's own libraries are tested with.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
AT = 1614265330
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(AT),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


class Verify(unittest.TestCase):
    def setUp(self):
        self.keys = receiver.read_secrets(f"# new\nanother\n\n{SECRET}\n")

    def test_the_specifications_example_is_believed(self):
        self.assertIsNone(receiver.verify(self.keys, HEADERS, BODY, AT + 10))
        two = HEADERS | {"webhook-signature": "v1,bm9wZQ== " + HEADERS["webhook-signature"]}
        self.assertIsNone(receiver.verify(self.keys, two, BODY, AT))

    def test_nothing_else_is(self):
        for headers, body, now in [
            (HEADERS, BODY + b" ", AT),
            (HEADERS, BODY, AT + 301),
            (HEADERS, BODY, AT - 301),
            (HEADERS | {"webhook-id": "msg_other"}, BODY, AT),
            (HEADERS | {"webhook-timestamp": str(AT + 1)}, BODY, AT),
            (HEADERS | {"webhook-timestamp": "soon"}, BODY, AT),
            (HEADERS | {"webhook-signature": "v1,ü"}, BODY, AT),
            ({}, BODY, AT),
        ]:
            self.assertIsNotNone(receiver.verify(self.keys, headers, body, now))
        other = receiver.read_secrets("another")
        self.assertIsNotNone(receiver.verify(other, HEADERS, BODY, AT))

    def test_a_file_without_a_secret_is_refused(self):
        for text in ["", "# only this", "whsec_!"]:
            with self.assertRaises(ValueError):
                receiver.read_secrets(text)


class Serve(unittest.TestCase):
    def setUp(self):
        self.server = receiver.serve("127.0.0.1", 0, [b"secret"])
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def post(self, ident, body, key=b"secret"):
        at = str(int(time.time()))
        digest = receiver.hmac.new(key, f"{ident}.{at}.".encode() + body, "sha256").digest()
        signature = "v1," + receiver.base64.b64encode(digest).decode()
        headers = {"webhook-id": ident, "webhook-timestamp": at, "webhook-signature": signature}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=5)
        self.addCleanup(connection.close)
        connection.request("POST", "/", body, headers)
        return connection.getresponse().status

    def test_an_alert_is_printed_once_and_a_forged_one_never(self):
        body = json.dumps({"timestamp": "now", "text": "shop is unhealthy"}).encode()
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(self.post("msg_1", body), 204)
            self.assertEqual(self.post("msg_1", body), 204)
            self.assertEqual(self.post("msg_2", body, key=b"guessed"), 401)
            self.assertEqual(self.post("msg_3", b"no alert"), 400)
        self.assertEqual(out.getvalue(), "now shop is unhealthy\n")


if __name__ == "__main__":
    unittest.main()
