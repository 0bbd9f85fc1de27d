"""Waits for every new process that root of this container did not make, and tries to get hold of it at once."""

import ctypes
import os

PTRACE, PTRACE_SEIZE = (101 if os.uname().machine == "x86_64" else 117), 0x4206
LIBC = ctypes.CDLL(None, use_errno=True)
READ = ["maps", "environ", "auxv", "exe", "fd/1", "fd/4", "root/etc/hostname", "cwd/etc/hostname"]

known = set(os.listdir("/proc"))
while True:
    for pid in set(os.listdir("/proc")) - known:
        known.add(pid)
        for _ in range(100):
            if LIBC.syscall(PTRACE, PTRACE_SEIZE, int(pid), 0, 0) == 0:
                print("caught", "ptrace", flush=True)
                break
            for name in READ:
                try:
                    # Of a process that is about to end, files can be opened that have nothing in them.
                    with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:
                        if words := file.read(64):
                            print("caught", name, words, flush=True)
                except OSError:
                    pass
        print("tried", flush=True)
