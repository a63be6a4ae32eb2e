"""This machine's files under another kernel: for what its own kernel lacks, such as netem.

    python -m tests.vm OUT COMMAND...

boots Debian's kernel under qemu, with this machine's whole file system as its own (read-only, by 9p), the folder ``OUT``
writable at the same path, and an empty /tmp; runs the command as root in the current folder; exits with its status. So
there is no image to build: the Python, the packages and the source are those that are here.

The machine is emulated without hardware help, which may not be there, and its clock counts instructions (QEMU's icount): a
nanosecond each. So whoever measures time inside finds a steady machine of 1 GHz; a busy host makes it slow, but not late.

It needs qemu-system-x86, busybox-static, cpio and, to fetch the kernel once, apt-get. The kernel and its first file system
are kept in the user's cache.
"""

import gzip
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox-static", "cpio": "cpio", "apt-get": "apt"}

# What the kernel may load: all of the network, and how it reaches our files. what they depend on is in the same folders.
MODULES = ("net", "lib", "crypto", "arch", "fs/9p", "fs/netfs", "fs/fscache", "drivers/virtio", "drivers/net/veth.ko")

INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
modprobe virtio_pci; modprobe 9pnet_virtio; modprobe 9p
share=trans=virtio,version=9p2000.L,msize=512000
mount -t 9p -o ro,cache=loose,$share root /root
for folder in proc sys dev; do mount --rbind /$folder /root/$folder; done
mount -t 9p -o $share job /job
here=$(cat /job/here); mkdir -p /here; mount --bind "/root$here" /here
mkdir -p /root/dev/shm; mount -t tmpfs tmp /root/tmp; mount -t tmpfs shm /root/dev/shm
mkdir -p "/root$here"; mount --bind /here "/root$here"  # it may lie in /tmp
out=$(cat /job/out); mkdir -p "/root$out"; mount -t 9p -o $share out "/root$out"
ip link set lo up
chroot /root /bin/sh -c "$(cat /job/command)"
echo $? > /job/status
sync; poweroff -f
"""


def missing() -> list[str]:
    """The Debian packages that must be installed first."""
    return [package for program, package in PROGRAMS.items() if not shutil.which(program)]


def run(command: Sequence[str], out: Path, patience: float = 900.0) -> int:
    """Run a command under the other kernel, in the current folder; the console goes to standard output.

    Args:
        command: The command.
        out: A folder in which it may write.
        patience: After how many seconds the machine is switched off.

    Returns:
        The command's exit status.

    Raises:
        RuntimeError: The machine did not get so far as to say how the command ended.
    """
    system()
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        job = Path(name)
        (job / "out").write_text(str(out))
        (job / "here").write_text(str(Path.cwd()))
        (job / "command").write_text(
            f"export HOME=/tmp TERM=dumb LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 PATH={shlex.quote(os.environ['PATH'])}\n"
            f"cd {shlex.quote(str(Path.cwd()))} && exec {shlex.join(command)}\n"
        )
        qemu = subprocess.run(machine(out, job), stdin=subprocess.DEVNULL, timeout=patience, check=False)
        if not (job / "status").exists():
            raise RuntimeError(f"the virtual machine stopped before the command ended (qemu: {qemu.returncode})")
        return int((job / "status").read_text())


def machine(out: Path, job: Path) -> list[str]:
    """The command that boots it."""
    kernel, initrd = system()
    shares = {"root": (Path("/"), ",readonly=on,multidevs=remap"), "out": (out, ""), "job": (job, "")}
    command = [
        *(
            "qemu-system-x86_64",
            "-accel",
            "tcg",
            "-icount",
            "shift=0,sleep=on",
            "-rtc",
            "clock=vm",
            "-cpu",
            "max",
            "-m",
            "2G",
        ),
        *("-nic", "none", "-display", "none", "-serial", "stdio", "-no-reboot"),
        *("-kernel", str(kernel), "-initrd", str(initrd), "-append", "console=ttyS0 quiet panic=-1"),
    ]
    for tag, (path, mode) in shares.items():
        command += ["-virtfs", f"local,path={path},mount_tag={tag},security_model=none{mode}"]
    return command


def system() -> tuple[Path, Path]:
    """The kernel and its first file system: fetched and made once, then kept in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sleepy-vm"
    recipe = hashlib.sha256(repr((MODULES, INIT)).encode()).hexdigest()[:12]
    kernel, initrd = cache / f"kernel-{recipe}", cache / f"initrd-{recipe}"
    if not initrd.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as name:
            work = Path(name)
            fetch(work)
            shutil.copy(next(work.glob("kernel/boot/vmlinuz-*")), kernel)
            pack(next(work.glob("kernel/lib/modules/*")), work / "files", work / "initrd")
            (work / "initrd").rename(initrd)  # last, and at once: an interrupted start leaves nothing half done
    return kernel, initrd


def fetch(work: Path) -> None:
    """Fetch Debian's present kernel into ``work/kernel``."""
    about = subprocess.run(["apt-cache", "depends", "linux-image-amd64"], capture_output=True, text=True, check=True)
    package = next(line.split()[1] for line in about.stdout.splitlines() if "Depends:" in line)
    subprocess.run(["apt-get", "download", package], cwd=work, check=True)
    subprocess.run(["dpkg", "-x", next(work.glob("*.deb")), work / "kernel"], check=True)


def pack(modules: Path, files: Path, initrd: Path) -> None:
    """Make the first file system: a shell, the modules, and what to do with them."""
    for folder in ("bin", "proc", "sys", "dev", "root", "job", "sbin"):
        (files / folder).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "busybox", files / "bin/busybox")
    (files / "sbin/modprobe").symlink_to("/bin/busybox")  # where the kernel looks for it
    (files / "init").write_text(INIT)
    (files / "init").chmod(0o755)
    here = files / "lib/modules" / modules.name
    for name in MODULES:
        source, target = modules / "kernel" / name, here / "kernel" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    for listing in modules.glob("modules.[ob]*"):  # the order of loading, and what is built in
        shutil.copy(listing, here)
    subprocess.run(["busybox", "depmod", "-b", files, modules.name], check=True)
    names = "".join(f"{path.relative_to(files)}\n" for path in sorted(files.rglob("*")))
    archive = subprocess.run(
        ["cpio", "--create", "--format=newc", "--quiet"],
        cwd=files,
        input=names.encode(),
        capture_output=True,
        check=True,
    )
    initrd.write_bytes(gzip.compress(archive.stdout, compresslevel=1))


if __name__ == "__main__":
    if packages := missing():
        sys.exit(f"this needs more programs: apt-get install {' '.join(packages)}")
    sys.exit(run(sys.argv[2:], Path(sys.argv[1])))
