"""A file system whose calls hang when the test says so, as NFS and FUSE do.

It passes everything on to a folder. It runs in a process of its own: the test talks to
the daemon, which may hang in a call, and must not hang with it.
"""

import os
import pathlib
import subprocess
import sys
import time

import pytest


class HangingDisk:
    """Mounted at .path.  hang(names) lets these calls hang until go_on(); fail_sync()
    lets each fsync fail until then."""

    def __init__(self, directory):
        self.path, self.below = directory / "hanging", directory / "below"
        self.orders = directory / "orders"
        for one in (self.path, self.below, self.orders):
            one.mkdir()
        self.process = subprocess.Popen(
            [sys.executable, __file__, self.below, self.path, self.orders],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True)
        if self.process.stdout.readline() != "mounted\n":
            self.process.kill()
            pytest.skip("cannot mount a FUSE file system: " +
                        self.process.communicate()[1].strip()[-200:])

    def hang(self, *names):
        """From now on these calls hang: open, stat, cut, sync, write, release, link."""
        for name in names:
            (self.orders / name).touch()

    def fail_sync(self):
        (self.orders / "no-sync").touch()

    def has_failed(self):
        return (self.orders / "has-failed").exists()

    def hanging(self, timeout=20):
        """Waits until some call hangs; returns its name."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for one in self.orders.iterdir():
                if one.name.startswith("now-"):
                    return one.name[4:]
            time.sleep(0.01)
        raise AssertionError("nothing hangs in " + str(list(self.orders.iterdir())))

    def go_on(self):
        for one in self.orders.iterdir():
            one.unlink()

    def close(self):
        self.go_on()
        subprocess.run(["umount", "-l", str(self.path)], check=False)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


def serve(below, path, orders):
    import errno
    import fusepy

    below, orders = pathlib.Path(below), pathlib.Path(orders)

    def maybe_hang(name):
        if not (orders / name).exists():
            return
        (orders / ("now-" + name)).touch()
        while (orders / name).exists():
            time.sleep(0.02)

    class Through(fusepy.Operations):
        def __call__(self, op, *args):
            try:
                return getattr(self, op)(*args)
            except OSError as failure:
                raise fusepy.FuseOSError(failure.errno or errno.EIO)

        def at(self, name):
            return str(below) + name

        def init(self, name):
            print("mounted", flush=True)

        def getattr(self, name, fh=None):
            if name != "/":
                maybe_hang("stat")
            st = os.lstat(self.at(name))
            return {key: getattr(st, key) for key in (
                "st_atime", "st_ctime", "st_gid", "st_mode", "st_mtime",
                "st_nlink", "st_size", "st_uid", "st_ino")}

        def readdir(self, name, fh):
            return [".", "..", *os.listdir(self.at(name))]

        def open(self, name, flags):
            maybe_hang("open")
            return os.open(self.at(name), flags & ~os.O_CREAT)

        def create(self, name, mode, fi=None):
            maybe_hang("open")
            return os.open(self.at(name), os.O_RDWR | os.O_CREAT, mode)

        def read(self, name, size, offset, fh):
            return os.pread(fh, size, offset)

        def write(self, name, data, offset, fh):
            maybe_hang("write")
            return os.pwrite(fh, data, offset)

        def truncate(self, name, length, fh=None):
            maybe_hang("cut")
            os.truncate(self.at(name), length)

        def flush(self, name, fh):
            return 0

        def release(self, name, fh):
            maybe_hang("release")
            os.close(fh)

        def fsync(self, name, datasync, fh):
            maybe_hang("sync")
            if (orders / "no-sync").exists():
                (orders / "has-failed").touch()
                raise OSError(errno.EIO, name)
            os.fsync(fh)

        def fsyncdir(self, name, datasync, fh):
            return 0

        def rename(self, old, new):
            os.rename(self.at(old), self.at(new))

        def unlink(self, name):
            os.unlink(self.at(name))

        def link(self, new, old):
            maybe_hang("link")
            os.link(self.at(old), self.at(new))

        def chmod(self, name, mode):
            os.chmod(self.at(name), mode)

        def statfs(self, name):
            found = os.statvfs(str(below))
            return {key: getattr(found, key) for key in (
                "f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail",
                "f_ffree", "f_files", "f_flag", "f_frsize", "f_namemax")}

        utimens = None

    fusepy.FUSE(Through(), path, foreground=True, attr_timeout=0, entry_timeout=0,
                default_permissions=True, hard_remove=True, use_ino=True)


if __name__ == "__main__":
    serve(*sys.argv[1:])
