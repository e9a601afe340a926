"""Runs a command within the parts of a systemd unit's sandbox that a process can put on by itself.

    sandbox.py UNIT COMMAND…

As root. Of the unit: SystemCallFilter= (groups as this machine's systemd-analyze tells them), RestrictAddressFamilies=,
NoNewPrivileges=, CapabilityBoundingSet= (empty), LimitCORE=, UMask=, ProtectProc= and ProcSubset=. The user stays root, without
root's capabilities: the checkout may lie where others cannot read. It stands in for systemd as PID 1, which containers lack.
"""

import ctypes
import os
import resource
import socket
import subprocess
import sys

unit, command = sys.argv[1], sys.argv[2:]
settings = [line.split("=", 1) for line in open(unit, encoding="utf-8") if "=" in line and line[0] not in "#["]
of = lambda name: [value.strip() for key, value in settings if key == name]

groups = {}
for line in subprocess.run(["systemd-analyze", "syscall-filter"], capture_output=True, text=True, check=True).stdout.splitlines():
    if line.startswith("@"):
        groups[line.strip()] = members = []
    elif line.startswith("    ") and not line.strip().startswith("#"):
        members.append(line.strip())


def expand(names):
    return {call for name in names for call in (expand(groups[name]) if name.startswith("@") else {name})}


allowed = set()
for value in of("SystemCallFilter"):
    if value.startswith("~"):
        allowed -= expand(value[1:].split())
    else:
        allowed |= expand(value.split())
# systemd adds these to every list of allowed calls.
allowed |= expand(["@default"])

libc = ctypes.CDLL(None, use_errno=True)
seccomp = ctypes.CDLL("libseccomp.so.2")
seccomp.seccomp_init.restype = ctypes.c_void_p
seccomp.seccomp_load.argtypes = [ctypes.c_void_p]


class Comparison(ctypes.Structure):  # struct scmp_arg_cmp
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


EQUAL, ALLOW = 4, 0x7FFF0000
refuse = lambda number: 0x00050000 | number  # SCMP_ACT_ERRNO
seccomp.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p]


def check(result, what):
    if result != 0:
        sys.exit(f"{what}: {os.strerror(ctypes.get_errno() or abs(result))}")


libc.unshare.argtypes = [ctypes.c_int]
check(libc.unshare(0x00020000), "unshare(CLONE_NEWNS)")
check(libc.mount(b"none", b"/", None, ctypes.c_ulong(0x44000), None), "mount --make-rprivate /")
options = f"hidepid={of('ProtectProc')[0]},subset={of('ProcSubset')[0]}".encode()
check(libc.mount(b"proc", b"/proc", b"proc", ctypes.c_ulong(0), options), "mount /proc")

PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
assert of("CapabilityBoundingSet") == [""] and of("NoNewPrivileges") == ["yes"], "not the sandbox that this stands in for"
for capability in range(64):
    libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
resource.setrlimit(resource.RLIMIT_CORE, (int(of("LimitCORE")[0]),) * 2)
os.umask(int(of("UMask")[0], 8))
check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")

filter = seccomp.seccomp_init(refuse(1))  # EPERM, as SystemCallErrorNumber= has it
families = {getattr(socket, name) for name in of("RestrictAddressFamilies")[0].split()}
for name in allowed - {"socket"}:
    number = seccomp.seccomp_syscall_resolve_name(name.encode())
    if number != -1:  # unknown here
        check(seccomp.seccomp_rule_add_array(filter, ALLOW, number, 0, None), name)
for family in families:
    comparison = Comparison(0, EQUAL, family, 0)
    number = seccomp.seccomp_syscall_resolve_name(b"socket")
    check(seccomp.seccomp_rule_add_array(filter, ALLOW, number, 1, ctypes.byref(comparison)), "socket")
check(seccomp.seccomp_load(filter), "seccomp_load")
os.execvp(command[0], command)
