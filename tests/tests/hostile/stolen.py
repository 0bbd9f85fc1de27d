"""Takes the session from the companion PID, which CAP_SYS_PTRACE allows, and speaks in its place for some seconds.

    python3 -c SCRIPT PID SECONDS REPLIES PAYLOAD...

Each payload is an expression of bytes, sent as it is, one after another. Replies are JSON: for a type of request, what
is answered to each of it.

Prints what the supervisor says meanwhile, and `closed` where it ends the session. Then the companion goes on.
"""

import ctypes
import json
import os
import select
import signal
import socket
import sys
import time

PIDFD_GETFD = 438
pid, end = int(sys.argv[1]), time.time() + float(sys.argv[2])
os.kill(pid, signal.SIGSTOP)
number = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, os.pidfd_open(pid), 3, 0)
if number == -1:
    raise OSError(ctypes.get_errno(), "pidfd_getfd")
session = socket.socket(fileno=number)
session.setblocking(False)
replies = json.loads(sys.argv[3])
payloads = [eval(payload) for payload in sys.argv[4:]]
heard = b""
while time.time() < end:
    readable, writable, _ = select.select([session], [session] if payloads else [], [], 0.05)
    try:
        if readable:
            words = session.recv(65536)
            if not words:
                print("closed")
                break
            print(words.decode(), end="")
            *requests, heard = (heard + words).split(b"\n")
            for request in map(json.loads, requests):
                if reply := replies.get(request["type"]):
                    payloads.append(json.dumps({**reply, "id": request["id"]}).encode() + b"\n")
        if writable:
            payloads[0] = payloads[0][session.send(payloads[0]):]
            if not payloads[0]:
                payloads.pop(0)
    except (BrokenPipeError, ConnectionResetError):
        print("closed")
        break
try:
    os.kill(pid, signal.SIGCONT)
except ProcessLookupError:
    pass
