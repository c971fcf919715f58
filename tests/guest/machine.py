"""A virtual machine with several NUMA nodes that sees this machine's files."""

import dataclasses
import itertools
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile

from linux_kernel import LinuxKernel

FOLDER = pathlib.Path(__file__).resolve().parent
KERNEL_FOLDER = os.environ.get(
    "MLAD_GUEST_KERNEL", FOLDER.parents[1] / "build/release/guest/kernel")

# No self-tests and no delays that only real hardware needs; a panic, or the end
# of the first process, ends the machine.
KERNEL_ARGUMENTS = (
    "console=ttyS0 quiet panic=-1 reboot=t lpj=4600000 cryptomgr.notests "
    "no_timer_check nokaslr mitigations=off")


class GuestFailed(AssertionError):
    """The guest did not do what it was started for; tells its console."""


@dataclasses.dataclass
class GuestNode:
    """A NUMA node; without CPUs it is memory alone."""
    memory_mib: int
    cpus: tuple = ()


def numa_arguments(nodes):
    """QEMU's arguments for these nodes: a socket for each CPU, nodes 21 apart
    where a node is 10 from itself."""
    cpus = sum(len(node.cpus) for node in nodes)
    arguments = ["-smp", f"{cpus},sockets={cpus}",
                 "-m", f"{sum(node.memory_mib for node in nodes)}M"]
    for index, node in enumerate(nodes):
        place = "".join(f",cpus={cpu}" for cpu in node.cpus)
        arguments += [
            "-object",
            f"memory-backend-ram,id=m{index},size={node.memory_mib}M",
            "-numa", f"node,nodeid={index},memdev=m{index}{place}"]
    for source, other in itertools.permutations(range(len(nodes)), 2):
        arguments += ["-numa", f"dist,src={source},dst={other},val=21"]
    return arguments


class Guest:
    """Boots, runs one command, ends."""

    def __init__(self, nodes):
        self._nodes = nodes
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mlad-guest-"))
        self.out = self.folder / "out"  # the guest's /run/out
        self.out.mkdir()

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def console(self):
        path = self.folder / "console"
        return path.read_text(encoding="utf-8", errors="replace")

    def run(self, command, timeout_s):
        """Runs `command` (a list) as root on the host's files.
        Raises GuestFailed unless it ends with status 0 in time."""
        script = " ".join(shlex.quote(str(word)) for word in command)
        (self.out / "command").write_text(f"exec {script}\n", encoding="utf-8")
        kernel = LinuxKernel(KERNEL_FOLDER)
        qemu = self._qemu(kernel.boot_file(self.folder),
                          self._initramfs(kernel))
        try:
            done = subprocess.run(qemu, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True,
                                  timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired as expired:
            raise GuestFailed(self._describe(
                f"the guest did not end within {timeout_s} s")) from expired
        if done.returncode != 0:
            raise GuestFailed(self._describe(
                f"QEMU ended with status {done.returncode}: {done.stderr}"))
        status = self.out / "status"
        if not status.exists():
            raise GuestFailed(self._describe(
                "the guest ended before its command did"))
        if status.read_text(encoding="utf-8").strip() != "0":
            raise GuestFailed(self._describe(
                f"'{script}' failed in the guest with status "
                + status.read_text(encoding="utf-8").strip()))

    def _describe(self, sentence):
        return (f"{sentence}\n---- the guest's console\n{self.console()}\n"
                "---- end of the guest's console")

    def _initramfs(self, kernel):
        """busybox, kernel modules and init.sh as a compressed archive."""
        busybox = shutil.which("busybox", path="/bin:/usr/bin:/usr/local/bin")
        if busybox is None:
            raise FileNotFoundError("busybox-static is not installed")
        root = self.folder / "initramfs"
        (root / "bin").mkdir(parents=True)
        (root / "modules").mkdir()
        shutil.copy(busybox, root / "bin/busybox")
        (root / "bin/sh").symlink_to("busybox")
        shutil.copy(FOLDER / "init.sh", root / "init")
        modules = kernel.modules()
        for name, content in modules:
            (root / "modules" / f"{name}.ko").write_bytes(content)
        (root / "modules/order").write_text(
            "".join(f"{name}\n" for name, _ in modules), encoding="utf-8")
        names = "\n".join(str(path.relative_to(root))
                          for path in sorted(root.rglob("*")))
        archive = self.folder / "initramfs.cpio"
        with open(archive, "wb") as output:
            subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root,
                           input=names.encode(), stdout=output, check=True)
        return archive

    def _qemu(self, kernel, initramfs):
        share = "local,security_model=none"
        return [
            "qemu-system-x86_64", "-machine", "q35",
            # Kernel-based virtualisation is often there and unusable.
            "-accel", "tcg,thread=multi", "-cpu", "max",
            *numa_arguments(self._nodes),
            "-kernel", str(kernel), "-initrd", str(initramfs),
            "-append", KERNEL_ARGUMENTS,
            "-fsdev", f"{share},id=host,path=/,readonly=on,multidevs=remap",
            "-device", "virtio-9p-pci,fsdev=host,mount_tag=host",
            "-fsdev", f"{share},id=out,path={self.out}",
            "-device", "virtio-9p-pci,fsdev=out,mount_tag=out",
            "-display", "none", "-vga", "none", "-nic", "none", "-no-reboot",
            "-monitor", "none", "-serial", f"file:{self.folder / 'console'}"]
