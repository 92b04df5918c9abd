"""System calls that a student's process does without, refused by the kernel (seccomp, Linux).

They would leave something behind for the next submission (System V memory, keys, queues), look into other
processes, make new namespaces, or reach sockets that no network namespace holds. Runs inside the sandbox.

nr     number of a system call, which depends on the machine
filter program of the classic BPF: (code, jump if true, jump if false, constant), eight bytes each
"""

import ctypes
import errno
import platform
import struct

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CLONE = {"x86_64": 56, "aarch64": 220}
SOCKET = {"x86_64": 41, "aarch64": 198}
CLONE3 = 435  # its flags lie in memory, which a filter cannot read
DENIED = {
    "x86_64": (
        *(101, 310, 311, 312, 438),  # ptrace, process_vm_readv, process_vm_writev, kcmp, pidfd_getfd
        *(272, 308, 161, 155, 165, 166),  # unshare, setns, chroot, pivot_root, mount, umount2
        *(428, 429, 430, 431, 432, 433, 442),  # open_tree, move_mount, fsopen to fspick, mount_setattr
        *(248, 249, 250),  # add_key, request_key, keyctl
        *(29, 30, 31, 64, 65, 66, 68, 69, 70, 71, 220, 240),  # shm*, sem*, msg*, semtimedop, mq_open
        *(298, 304, 321, 323, 425, 426, 427),  # perf, open_by_handle_at, bpf, userfaultfd, io_uring
    ),
    "aarch64": (
        *(117, 270, 271, 272, 438),
        *(97, 268, 51, 41, 40, 39),
        *(428, 429, 430, 431, 432, 433, 442),
        *(217, 218, 219),
        *(194, 196, 195, 190, 193, 191, 186, 189, 188, 187, 192, 180),
        *(241, 265, 280, 282, 425, 426, 427),
    ),
}
FAMILIES = (1, 2, 10, 16)  # unix, inet, inet6, netlink: those that a network namespace holds
NEW_NAMESPACE = 0x7E020080  # CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET, TIME
X32 = 0x40000000

LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NR, ARCH, FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, FILTER = 22, 38, 2

Instruction = tuple[int, int, int, int]


def program(machine: str) -> list[Instruction]:
    """The filter for a machine.

    Raises:
        KeyError: its system calls are not listed here.
    """
    refuse, absent = (RETURN, 0, 0, REFUSE | errno.EPERM), (RETURN, 0, 0, REFUSE | errno.ENOSYS)
    code: list[Instruction] = [
        *[(LOAD, 0, 0, ARCH), (JUMP_EQUAL, 1, 0, AUDIT_ARCH[machine]), refuse, (LOAD, 0, 0, NR)],
        *[(JUMP_AT_LEAST, 0, 1, X32), refuse, (JUMP_EQUAL, 0, 1, CLONE3), absent],
    ]
    for nr in DENIED[machine]:
        code += [(JUMP_EQUAL, 0, 1, nr), refuse]
    code += [
        *[(JUMP_EQUAL, 0, 4, CLONE[machine]), (LOAD, 0, 0, FIRST_ARGUMENT), (JUMP_SET, 0, 1, NEW_NAMESPACE)],
        *[refuse, (RETURN, 0, 0, ALLOW), (JUMP_EQUAL, 1, 0, SOCKET[machine]), (RETURN, 0, 0, ALLOW)],
        (LOAD, 0, 0, FIRST_ARGUMENT),
    ]
    for family in FAMILIES:
        code += [(JUMP_EQUAL, 0, 1, family), (RETURN, 0, 0, ALLOW)]
    return [*code, refuse]


def confine() -> None:
    """Refuse these calls to this process and all that it starts, for good.

    Raises:
        OSError: the kernel has no seccomp, or the machine is none of those listed here.
    """
    machine = platform.machine()
    if machine not in DENIED:
        raise OSError(errno.ENOSYS, f"no list of system calls for {machine}")
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program(machine))
    buffer = ctypes.create_string_buffer(code, len(code))
    pointer = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_SECCOMP, FILTER, ctypes.create_string_buffer(pointer, len(pointer)))


def prctl(option: int, *arguments: object) -> None:
    """The system call of that name.

    Raises:
        OSError: the kernel refused.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    padded = [
        ctypes.c_ulong(value) if isinstance(value, int) else value for value in (*arguments, 0, 0, 0, 0)
    ]
    if libc.prctl(option, *padded[:4]):
        raise OSError(ctypes.get_errno(), f"prctl({option}) was refused")
