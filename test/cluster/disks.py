"""Disks that are small and get full, that fail, that are slow."""

import contextlib
import errno
import os
import subprocess

from ha import SLOW, compiled

HERE = os.path.dirname(os.path.abspath(__file__))


class NoSmallDisk(Exception):
    """This machine or this user cannot mount one; says why."""


class SmallDisk:
    """A file system of its own, of some megabytes, that fill() leaves no room in."""

    def __init__(self, folder, size_mb):
        self.folder, self.path = folder, os.path.join(folder, "filler")
        os.makedirs(folder, exist_ok=True)
        r = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", folder], capture_output=True,
                           text=True, check=False)
        if r.returncode != 0:
            os.rmdir(folder)
            raise NoSmallDisk(f"cannot mount a small file system here: {r.stderr.strip()}")

    def fill(self):
        with open(self.path, "wb", buffering=0) as f:
            block = b"x" * 65536
            while block:
                try:
                    if f.write(block) < len(block):
                        raise OSError(errno.ENOSPC, "partly")
                except OSError as e:
                    assert e.errno == errno.ENOSPC
                    block = block[: len(block) // 2]

    def free(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def close(self):
        subprocess.run(["umount", "-l", self.folder], check=True)
        os.rmdir(self.folder)


class NoSlowFolder(Exception):
    """This machine or this user cannot mount one; says why."""


class SlowFolder:
    """What is written to a folder and synced there takes longer after slow(…), whatever program does it: a file system in
    user space (slowfs.c) over another folder."""

    @staticmethod
    def build(directory):
        r = subprocess.run(["pkg-config", "--cflags", "--libs", "fuse3"], capture_output=True, text=True, check=False)
        if r.returncode != 0 or not os.path.exists("/dev/fuse"):
            raise NoSlowFolder("there is no libfuse3, or no /dev/fuse")
        return compiled(os.path.join(HERE, "slowfs.c"), os.path.join(directory, "slowfs"), "-Wl,--no-as-needed", *r.stdout.split())

    def __init__(self, below, folder, program):
        self.folder = folder
        os.makedirs(below, exist_ok=True)
        os.makedirs(folder, exist_ok=True)
        self.process = subprocess.Popen([program, below, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, bufsize=1)
        if self.process.stdout.readline() != "ready\n":
            self.close()
            raise NoSlowFolder("a file system in user space cannot be mounted here")

    def slow(self, milliseconds):
        self.process.stdin.write(f"{milliseconds}\n")
        assert self.process.stdout.readline() == "ok\n"

    def mend(self):
        self.slow(0)

    def close(self):
        """Whoever still has files open there keeps them."""
        subprocess.run(["umount", "-l", self.folder], capture_output=True, check=False)
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class FailingDisk:
    """Writing below a folder fails while error(…) says so, or takes longer after slow(…), through a preloaded library."""

    def __init__(self, folder, library=None):
        self.file = os.path.join(folder, "diskfault")
        self.library = library or self.build(folder)

    @staticmethod
    def build(folder):
        return compiled(os.path.join(HERE, "diskfault.c"), os.path.join(folder, "diskfault.so"), "-shared", "-fPIC")

    def env(self, folder):
        env = {"LD_PRELOAD": self.library, "DISKFAULT_DIR": folder, "DISKFAULT_FILE": self.file}
        if SLOW > 1:
            env["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        return env

    def _put(self, text):
        with open(self.file + ".new", "w", encoding="ascii") as f:
            f.write(text)
        os.rename(self.file + ".new", self.file)

    def error(self, number):
        self._put(str(number))

    def slow(self, milliseconds):
        """Every write and every sync takes so much longer."""
        self._put(f"slow {milliseconds}")

    def mend(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.file)
