"""A small virtual machine whose power can be cut.

`kill -9` of a process leaves the kernel's page cache alive, so it says nothing of what
was synced. Killing the machine does: what the guest had not flushed to its disk is gone.
The machine is qemu with Debian's cloud kernel and one init script; its disk is an ext4
image. Everything comes from Debian's packages; `missing()` says what is not there.
"""

import os
import pathlib
import re
import shutil
import stat
import subprocess

from harness import Process, binary, free_port, wait_for

PACKAGES = "qemu-system-x86 busybox-static cpio e2fsprogs"
KERNEL = "linux-image-cloud-amd64"
MODULES = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk",
           "failover", "net_failover", "virtio_net")
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev
for name in {modules}; do insmod /modules/$name.ko; done
ip link set lo up; ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up; ip route add default via 10.0.2.2
mount -t ext4 /dev/vda /data || poweroff -f
# The control of the whole experiment: bytes written over old ones in place, not
# synced, must be lost with the power. (A file made anew would be flushed by ext4.)
grep -q NEW /data/control 2>/dev/null && echo CONTROL-SURVIVED
echo OLD > /data/control; sync
echo NEW | dd of=/data/control conv=notrunc 2>/dev/null
exec /trailbox serve --config /trailbox.toml --data /data/box
"""


def missing():
    """What is needed and not there; empty when the machine can be made."""
    tools = ("qemu-system-x86_64", "busybox", "cpio", "mkfs.ext4", "e2fsck", "debugfs", "apt-get", "dpkg-deb")
    absent = [tool for tool in tools if not shutil.which(tool, path=f"{os.environ['PATH']}:/sbin:/usr/sbin")]
    return ", ".join(absent)


def run(*words, **settings):
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, **settings)


class Machine:
    """One disk, many lives."""

    def __init__(self, directory, config):
        self.directory = pathlib.Path(directory)
        self.port = free_port()
        self.disk = self.directory / "disk.img"
        self.process = None
        self.lives = 0
        self.kernel = self._kernel()
        self.initrd = self._initrd(config)
        run("truncate", "-s", "512M", self.disk)
        run("mkfs.ext4", "-q", "-F", self.disk)

    def _kernel(self):
        """Debian's cloud kernel, unpacked and not installed."""
        place = self.directory / "kernel"
        place.mkdir()
        depends = run("apt-cache", "depends", KERNEL, text=True).stdout
        package = re.search(r"Depends: (linux-image-\S+)", depends)[1]
        run("apt-get", "download", package, cwd=place)
        run("dpkg-deb", "-x", next(place.glob("*.deb")), place)
        return next((place / "boot").glob("vmlinuz-*"))

    def _initrd(self, config):
        root = self.directory / "initrd"
        for name in ("bin", "proc", "sys", "dev", "data", "modules", "tmp", "etc"):
            (root / name).mkdir(parents=True)
        shutil.copy(shutil.which("busybox"), root / "bin/busybox")
        for name in MODULES:
            shutil.copy(next(self.kernel.parent.parent.rglob(f"{name}.ko")), root / "modules")
        shutil.copy(binary(), root / "trailbox")
        for library in re.findall(r"(/\S+\.so\S*)", run("ldd", binary(), text=True).stdout):
            target = root / library.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)
        run("strip", "--strip-debug", root / "trailbox")
        (root / "trailbox.toml").write_text(config)
        init = root / "init"
        init.write_text(INIT.format(modules=" ".join(MODULES)))
        init.chmod(init.stat().st_mode | stat.S_IXUSR)
        image = self.directory / "initrd.img"
        with open(image, "wb") as out:
            names = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True).stdout
            subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=names, stdout=out, check=True)
        return image

    @property
    def console(self):
        return self.directory / f"console-{self.lives}.log"

    def start(self):
        """Boots and waits until Trailbox takes calls."""
        self.lives += 1
        self.process = Process([
            # Plain emulation: slower, and there on every machine, nested ones included.
            "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "1024", "-smp", "1", "-display", "none",
            "-serial", "stdio",
            "-no-reboot", "-kernel", self.kernel, "-initrd", self.initrd, "-append", "console=ttyS0 quiet panic=-1",
            "-drive", f"file={self.disk},format=raw,if=virtio,cache=writeback",
            "-netdev", f"user,id=n,hostfwd=tcp:127.0.0.1:{self.port}-10.0.2.15:4747",
            "-device", "virtio-net-pci,netdev=n",
        ], self.console)

        def ready():
            self.process.must_live()
            return "Trailbox records on" in self.console.read_text(errors="replace")

        wait_for("the machine", ready, timeout=180, pause=0.1)
        return self

    def cut_power(self):
        self.process.kill()

    def losses(self):
        """How many lives did not find what the one before had written without syncing it.

        A life that lasts long enough for the kernel's flusher keeps it; most do not.
        """
        texts = [(self.directory / f"console-{life}.log").read_text(errors="replace")
                 for life in range(2, self.lives + 1)]
        return sum("CONTROL-SURVIVED" not in text for text in texts)

    def take_out(self, path, target):
        """Copies `path` of the disk to `target`, as it is found after a file system check."""
        subprocess.run(["e2fsck", "-f", "-y", self.disk], capture_output=True, check=False)
        run("debugfs", "-R", f"rdump {path} {target}", self.disk)
