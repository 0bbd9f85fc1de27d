"""What root inside a container tries against the process of its companion: one function per attempt.

    python3 -c SCRIPT PID ATTEMPT...   makes attempts against the process PID; a line of JSON tells each one's outcome

An attempt that raises is refused, by that error. One that returns is done, with what it returned.
"""

import ctypes
import json
import os
import resource
import signal
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
# The unused user that a companion runs as.
COMPANION_UID = 65532
X86_64 = {"ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "pidfd_getfd": 438,
          "setns": 308, "keyctl": 250, "open_by_handle_at": 304, "process_madvise": 440, "perf_event_open": 298}
ARM64 = {"ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "pidfd_getfd": 438,
         "setns": 268, "keyctl": 219, "open_by_handle_at": 265, "process_madvise": 440, "perf_event_open": 241}
CALLS = X86_64 if os.uname().machine == "x86_64" else ARM64


def call(name, *args):
    """A system call by its number; raises what it answers."""
    args = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    result = LIBC.syscall(ctypes.c_long(CALLS[name]), *args)
    if result == -1:
        raise OSError(ctypes.get_errno(), name)
    return result


def read(path, size=4096):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(fd, size)
    finally:
        os.close(fd)


def as_an_equal(attempt):
    """The attempt, by a process that has become the companion's own user."""
    def attempt_as_equal(pid):
        os.setgroups([])
        os.setresgid(COMPANION_UID, COMPANION_UID, COMPANION_UID)
        os.setresuid(COMPANION_UID, COMPANION_UID, COMPANION_UID)
        return attempt(pid)
    return attempt_as_equal


# Its memory.

def ptrace_attach(pid):
    call("ptrace", 16, pid, 0, 0)
    os.waitpid(pid, 0x40000000)
    call("ptrace", 17, pid, 0, 0)


def ptrace_seize(pid):
    call("ptrace", 0x4206, pid, 0, 0)


class Piece(ctypes.Structure):
    _fields_ = [("start", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def process_vm(name, pid):
    # The address is known to nobody who may not look: a permitted call would fail with EFAULT.
    here = ctypes.create_string_buffer(8)
    ours, theirs = Piece(ctypes.addressof(here), 8), Piece(0x400000, 8)
    try:
        call(name, pid, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0)
    except OSError as error:
        if error.errno != 14:
            raise


def read_memory(pid):
    start = int(read(f"/proc/{pid}/maps").split(b"-")[0], 16)
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(start)
        return len(memory.read(64))


def write_memory(pid):
    os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR))


def page_out(pid):
    piece = Piece(0x400000, 4096)
    try:
        call("process_madvise", os.pidfd_open(pid), ctypes.byref(piece), 1, 21, 0)
    except OSError as error:
        if error.errno not in (12, 14, 22):
            raise


# Its descriptors.

def steal_session(pid):
    os.close(call("pidfd_getfd", os.pidfd_open(pid), 3, 0))


def list_descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def open_descriptors(pid):
    """What can be opened through /proc/PID/fd, but sockets, which cannot: ENXIO."""
    opened = []
    for number in range(64):
        try:
            os.close(os.open(f"/proc/{pid}/fd/{number}", os.O_RDONLY | os.O_NONBLOCK))
            opened.append(number)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno != 6:
                raise
    return opened


def compare_descriptors(pid):
    call("kcmp", pid, os.getpid(), 0, 0, 0)


# What /proc tells of it.

def proc_file(name):
    return lambda pid: len(read(f"/proc/{pid}/{name}"))


def proc_link(name):
    return lambda pid: os.readlink(f"/proc/{pid}/{name}")


def copy_program(pid):
    return len(read(f"/proc/{pid}/exe", 1 << 20))


def enter_root(pid):
    return len(os.listdir(f"/proc/{pid}/root"))


# Its namespaces, keys and place.

def join_by_pidfd(pid):
    call("setns", os.pidfd_open(pid), 0x10000000 | 0x20000)


def join_by_file(pid):
    call("setns", os.open(f"/proc/{pid}/ns/user", os.O_RDONLY), 0)


def search_keys(_pid):
    call("keyctl", 10, -4, b"user\0", b"diogenes\0", 0)
    call("keyctl", 10, -3, b"user\0", b"diogenes\0", 0)


def take_into_cgroup(pid):
    with open("/sys/fs/cgroup/pids/cgroup.procs", "w", encoding="ascii") as members:
        members.write(str(pid))


class Handle(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint), ("kind", ctypes.c_int), ("id", ctypes.c_ubyte * 128)]


def open_host_by_handle(_pid):
    # Inode 2 is the root of most file systems: of the host's that the bind mount lies on.
    handle = Handle(bytes=8, kind=1)
    handle.id[0] = 2
    mount = os.open("/etc/hostname", os.O_RDONLY)
    os.close(call("open_by_handle_at", mount, ctypes.byref(handle), 0))


def trace_with_perf(pid):
    attributes = (ctypes.c_uint * 32)(1, 128)
    os.close(call("perf_event_open", attributes, pid, -1, -1, 0))


# How it fares.

def lower_oom_score(pid):
    write_score(pid, -500)


def raise_oom_score(pid):
    write_score(pid, 500)


def write_score(pid, score):
    with open(f"/proc/{pid}/oom_score_adj", "w", encoding="ascii") as adjustment:
        adjustment.write(str(score))


def hurry(pid):
    os.setpriority(os.PRIO_PROCESS, pid, -5)


def slow(pid):
    os.setpriority(os.PRIO_PROCESS, pid, 5)


def lift_limits(pid):
    resource.prlimit(pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def lower_limits(pid):
    resource.prlimit(pid, resource.RLIMIT_NPROC, (4096, 4096))


def rename_it(pid):
    with open(f"/proc/{pid}/comm", "w", encoding="ascii") as name:
        name.write("owned")


def stop_and_continue(pid):
    os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGCONT)


def kill(pid):
    os.kill(pid, signal.SIGKILL)


ATTEMPTS = {
    "ptrace_attach": ptrace_attach,
    "ptrace_seize": ptrace_seize,
    "ptrace_as_equal": as_an_equal(ptrace_seize),
    "process_vm_readv": lambda pid: process_vm("process_vm_readv", pid),
    "process_vm_writev": lambda pid: process_vm("process_vm_writev", pid),
    "read_memory": read_memory,
    "read_memory_as_equal": as_an_equal(read_memory),
    "write_memory": write_memory,
    "page_out": page_out,
    "steal_session": steal_session,
    "steal_session_as_equal": as_an_equal(steal_session),
    "list_descriptors": list_descriptors,
    "list_descriptors_as_equal": as_an_equal(list_descriptors),
    "open_descriptors": open_descriptors,
    "compare_descriptors": compare_descriptors,
    "environment": proc_file("environ"),
    "auxiliary_vector": proc_file("auxv"),
    "stack": proc_file("stack"),
    "system_call": proc_file("syscall"),
    "page_map": proc_file("pagemap"),
    "working_directory": proc_link("cwd"),
    "program_link": proc_link("exe"),
    "copy_program": copy_program,
    "enter_root": enter_root,
    "join_by_pidfd": join_by_pidfd,
    "join_by_file": join_by_file,
    "search_keys": search_keys,
    "take_into_cgroup": take_into_cgroup,
    "open_host_by_handle": open_host_by_handle,
    "trace_with_perf": trace_with_perf,
    "lower_oom_score": lower_oom_score,
    "raise_oom_score": raise_oom_score,
    "hurry": hurry,
    "slow": slow,
    "slow_as_equal": as_an_equal(slow),
    "lift_limits_as_equal": as_an_equal(lift_limits),
    "lower_limits_as_equal": as_an_equal(lower_limits),
    "rename_it": rename_it,
    "stop_and_continue": stop_and_continue,
    "kill": kill,
}


def attempt_apart(name, pid):
    """Makes one attempt in a process of its own: it may change who that is."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            outcome = {"done": ATTEMPTS[name](pid)}
        except OSError as error:
            outcome = {"refused": os.strerror(error.errno)}
        os.write(theirs, json.dumps(outcome).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as told:
        outcome = json.loads(told.read() or b'{"refused": "it died of the attempt"}')
    os.waitpid(child, 0)
    return outcome


for name in sys.argv[2:]:
    print(json.dumps({"attempt": name, **attempt_apart(name, int(sys.argv[1]))}), flush=True)
