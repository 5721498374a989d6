#!/usr/bin/python3
"""Takes the place of ffmpeg and tries what an attacker would who has taken it over. Prints a line for each attempt: its
name, and the error that it met or "reached"."""

import ctypes
import errno
import fcntl
import mmap
import os
import resource
import socket
import struct
import sys

PLACES = {}  # names and paths, which the test writes here

libc = ctypes.CDLL(None, use_errno=True)
is_x86 = os.uname().machine == "x86_64"
parent = os.getppid()


def attempt(name, call):
    try:
        call()
        print(name, "reached")
    except OSError as error:
        print(name, errno.errorcode.get(error.errno, error.errno))
    except Exception as error:  # a library that gives up in its own words met nothing it wanted
        print(name, type(error).__name__)


def raw(on_x86, on_arm, *arguments):
    def call():
        number = on_x86 if is_x86 else on_arm
        if libc.syscall(number, *(ctypes.c_long(argument) for argument in arguments)) < 0:
            raise OSError(ctypes.get_errno(), "")

    return call


def opens(path, flags):
    return lambda: os.close(os.open(path, flags, 0o600))


for name, path in PLACES.items():
    attempt("read " + name, opens(path, os.O_RDONLY))
    attempt("write " + name, opens(path, os.O_WRONLY | os.O_APPEND))
    attempt("list " + name, lambda: os.listdir(path))
    attempt("make below " + name, opens(os.path.join(path, "made"), os.O_WRONLY | os.O_CREAT))
    attempt("make beside " + name, opens(path + ".made", os.O_WRONLY | os.O_CREAT))
    attempt("remove " + name, lambda: os.remove(path))
    attempt("rename " + name, lambda: os.rename(path, path + ".gone"))
    attempt("link " + name, lambda: os.link(path, path + ".link"))
    attempt("mkdir below " + name, lambda: os.mkdir(os.path.join(path, "made")))
    attempt("cut " + name, lambda: os.truncate(path, 0))
    attempt("chmod " + name, lambda: os.chmod(path, 0o777))
    attempt("touch " + name, lambda: os.utime(path, (1, 1)))
    attempt("connect " + name, lambda: socket.socket(socket.AF_UNIX).connect(path))

for path in ["/etc/passwd", "/etc/shadow", "/root", "/home", "/tmp", "/var/tmp", "/dev/shm", "/sys", "/proc",
             "/run", "/var", "/dev/null", "/proc/self/mem", "/proc/self/environ"]:
    attempt("read " + path, opens(path, os.O_RDONLY))
for path in ["/tmp/minuted-made", "/var/tmp/minuted-made", "/dev/shm/minuted-made", "/usr/lib/minuted-made"]:
    attempt("make " + path, opens(path, os.O_WRONLY | os.O_CREAT))
for file in ["environ", "mem", "maps", "fd", "cwd/", "root/"]:
    attempt("read parent " + file, opens(f"/proc/{parent}/{file}", os.O_RDONLY))

# The recording: it may be read, and nothing else.
attempt("write recording", opens("/proc/self/fd/0", os.O_WRONLY))
attempt("cut recording", lambda: os.truncate(0, 0))
attempt("chmod recording", lambda: os.fchmod(0, 0o777))
attempt("chown recording", lambda: os.fchown(0, os.getuid(), os.getgid()))
attempt("touch recording", lambda: os.utime(0, (1, 1)))
attempt("mark recording", lambda: os.setxattr(0, "user.minuted", b"x"))
attempt("flags recording", lambda: fcntl.ioctl(0, 0x40086602, struct.pack("l", 0)))

# The network and every other socket.
for name in ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_PACKET"]:
    for kind in ["SOCK_STREAM", "SOCK_DGRAM", "SOCK_RAW"]:
        attempt(f"socket {name} {kind}", lambda: socket.socket(getattr(socket, name), getattr(socket, kind)))
attempt("socketpair", socket.socketpair)
attempt("lookup", lambda: socket.create_connection(("localhost", 80), 1))

# Other processes.
attempt("signal parent", lambda: os.kill(parent, 0))
attempt("signal init", lambda: os.kill(1, 0))
attempt("signal group", lambda: os.kill(0, 0))
attempt("signal all", lambda: os.kill(-1, 0))
attempt("tkill", raw(200, 130, parent, 0))
attempt("tgkill", raw(234, 131, parent, parent, 0))
attempt("sigqueue", raw(129, 138, parent, 0, 0))
attempt("owner of signals", lambda: fcntl.fcntl(0, fcntl.F_SETOWN, parent))
attempt("limits of parent", lambda: resource.prlimit(parent, resource.RLIMIT_NOFILE, (100, 100)))
attempt("limits of its own", lambda: resource.setrlimit(resource.RLIMIT_DATA, (1 << 40, 1 << 40)))
attempt("priority of parent", lambda: os.setpriority(os.PRIO_PROCESS, parent, 19))
attempt("affinity of parent", lambda: os.sched_setaffinity(parent, [0]))
attempt("scheduler of parent", lambda: os.sched_setscheduler(parent, os.SCHED_BATCH, os.sched_param(0)))
attempt("ptrace", raw(101, 117, 0x4206, parent, 0, 0))
attempt("be traced", raw(101, 117, 0, 0, 0, 0))
attempt("process_vm_readv", raw(310, 270, parent, 0, 0, 0, 0, 0))
attempt("process_vm_writev", raw(311, 271, parent, 0, 0, 0, 0, 0))
attempt("pidfd_open", raw(434, 434, parent, 0))
attempt("pidfd_send_signal", raw(424, 424, 0, 0, 0, 0))
attempt("pidfd_getfd", raw(438, 438, 0, 0, 0))
attempt("process_madvise", raw(440, 440, 0, 0, 0, 0, 0))
attempt("kcmp", raw(312, 272, parent, parent, 0, 0, 0))
attempt("fork", os.fork)
attempt("vfork", raw(58, 220, 0x4111, 0, 0, 0, 0))
attempt("spawn", lambda: os.posix_spawn("/bin/true", ["true"], {}))
attempt("clone3", raw(435, 435, 0, 0))
attempt("clone of a process", raw(56, 220, 17, 0, 0, 0, 0))
attempt("clone with namespaces", raw(56, 220, 0x10000 | 0x800 | 0x100 | 0x40000000, 0, 0, 0, 0))
attempt("outlive parent", raw(157, 167, 1, 0, 0, 0, 0))
attempt("be dumped", raw(157, 167, 4, 1, 0, 0, 0))

# Other views and doors of the system.
attempt("unshare", raw(272, 97, 0x10000000))
attempt("setns", raw(308, 268, 0, 0))
attempt("mount", raw(165, 40, 0, 0, 0, 0, 0))
attempt("umount", raw(166, 39, 0, 0))
attempt("chroot", lambda: os.chroot("/"))
attempt("io_uring", raw(425, 425, 8, 0))
attempt("bpf", raw(321, 280, 0, 0, 0))
attempt("perf", raw(298, 241, 0, 0, 0, 0, 0))
attempt("keyctl", raw(250, 219, 0, -3, 1))
attempt("add_key", raw(248, 217, 0, 0, 0, 0, 0))
attempt("userfaultfd", raw(323, 282, 1))
attempt("memfd", raw(319, 279, ctypes.cast(ctypes.c_char_p(b"x"), ctypes.c_void_p).value, 0))
attempt("execveat", raw(322, 281, 0, 0, 0, 0, 0x1000))
attempt("handle", raw(303, 264, 0, 0, 0, 0, 0))
attempt("inotify", raw(294, 26, 0))
attempt("fanotify", raw(300, 262, 0, 0))
attempt("shared memory", lambda: mmap.mmap(-1, 4096))
attempt("shm of System V", raw(29, 194, 0, 4096, 0o1600))
attempt("messages of System V", raw(68, 186, 0, 0o1600))
attempt("seccomp", raw(317, 277, 2, 0, 0))
attempt("swap", raw(167, 224, 0, 0))
attempt("reboot", raw(169, 142, 0, 0, 0, 0))
if is_x86:
    attempt("another ABI", raw(0x40000000 | 39, 0))
    attempt("another ABI's socket", raw(0x40000000 | 41, 0, 1, 1, 0))

# What it needs works.
attempt("CONTROL recording", lambda: os.read(0, 1))
attempt("CONTROL recording again", opens("/proc/self/fd/0", os.O_RDONLY))
attempt("CONTROL libraries", opens("/usr/lib/os-release", os.O_RDONLY))
attempt("CONTROL own signal", lambda: os.kill(os.getpid(), 0))


def thread():
    import threading

    started = threading.Thread(target=lambda: None)
    started.start()
    started.join()


attempt("CONTROL thread", thread)
sys.stdout.flush()
