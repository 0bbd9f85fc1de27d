"""Waits for every new process that root of this container did not make, and tries to get hold of it at once."""

import ctypes
import os

PTRACE, PTRACE_SEIZE = (101 if os.uname().machine == "x86_64" else 117), 0x4206
LIBC = ctypes.CDLL(None, use_errno=True)
OPENED = ["mem", "maps", "environ", "fd/3", "fd/4", "fd/5", "exe", "cwd", "root/etc"]

known = set(os.listdir("/proc"))
while True:
    for pid in set(os.listdir("/proc")) - known:
        known.add(pid)
        seized = 0
        for _ in range(2000):
            if LIBC.syscall(PTRACE, PTRACE_SEIZE, int(pid), 0, 0) == 0:
                print("caught", "ptrace", flush=True)
                break
            for name in OPENED:
                try:
                    os.close(os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_NONBLOCK))
                    print("caught", name, flush=True)
                except OSError:
                    pass
            seized += 1
        print("tried", flush=True)
