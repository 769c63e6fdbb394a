"""The cell of the reader process: limits on what it takes, and a seal on what it may ask of the kernel."""

import ctypes
import os
import resource
import signal

#: Seconds of CPU, and bytes of address space besides the file itself.
CPU = 20
MEMORY = 512 << 20

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38  # linux/prctl.h

#: The system calls that reading from memory and writing to a pipe needs, by machine, from the kernel's tables: read
#: write writev close fstat lseek pread64 mmap mprotect munmap mremap madvise brk rt_sigaction rt_sigprocmask
#: rt_sigreturn sigaltstack futex sched_yield getpid gettid gettimeofday clock_gettime getrandom exit exit_group.
CALLS = {
    "x86_64": (0xC000003E, (0, 1, 20, 3, 5, 8, 17, 9, 10, 11, 25, 28, 12, 13, 14, 15, 131, 202, 24, 39, 186, 96, 228,
                            318, 60, 231)),
    "aarch64": (0xC00000B7, (63, 64, 66, 57, 80, 62, 67, 222, 226, 215, 216, 233, 214, 134, 135, 139, 132, 98, 124,
                             172, 178, 169, 113, 278, 93, 94)),
}  # fmt: skip
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h: LD|W|ABS, JMP|JEQ|K, RET|K
_KILL, _REFUSE, _ALLOW = 0x80000000, 0x00050001, 0x7FFF0000  # linux/seccomp.h: KILL_PROCESS, ERRNO|EPERM, ALLOW


class _Step(ctypes.Structure):
    """One instruction of a seccomp filter: struct sock_filter."""

    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    """A seccomp filter: struct sock_fprog."""

    _fields_ = (("length", ctypes.c_uint16), ("steps", ctypes.POINTER(_Step)))


def limit(size: int) -> None:
    """Bound the time and memory of this process for a file of `size` bytes; no file grows, nothing is dumped.

    It yields the CPU to the server, and dies with the server's thread that started it.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _prctl(_PR_SET_DUMPABLE, 0)
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY + size, MEMORY + size))
    for what in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NPROC):
        resource.setrlimit(what, (0, 0))


def seal() -> bool:
    """From here on open no file or socket, start no process, signal none: every such call fails with EPERM.

    The seal is a seccomp filter. Where there is none (another machine, a kernel without) the resource limits remain,
    and False comes back.
    """
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    if os.uname().machine not in CALLS or _prctl(_PR_SET_NO_NEW_PRIVS, 1):
        return False
    steps = [_Step(*rule) for rule in _rules(*CALLS[os.uname().machine])]
    program = _Program(len(steps), (_Step * len(steps))(*steps))
    return _prctl(_PR_SET_SECCOMP, 2, ctypes.addressof(program)) == 0


def _rules(machine: int, calls: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    """Return the filter's steps: the machine must be ours, then the call one of `calls`."""
    tests = [(_EQUAL, len(calls) - place, 0, call) for place, call in enumerate(calls)]
    start = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, machine), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    return [*start, *tests, (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]


def _prctl(option: int, *values: int) -> int:
    """Ask the kernel to change this process; 0 if it did."""
    arguments = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0)[:4]]
    return int(ctypes.CDLL(None).prctl(option, *arguments))
