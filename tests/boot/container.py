"""A Debian with systemd in a container of systemd-nspawn, driven from outside."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import time


def _pid_namespace(pid):
    return os.stat(f"/proc/{pid}/ns/pid").st_ino


class Container:
    """Boots a copy of `root` (copy-on-write, in memory); gone after close()."""

    def __init__(self, root):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mlad-boot-"))
        self.leader = None
        self._nspawn = None
        self._mount("tmpfs", "size=1g", self.folder)
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir()
        self.root = self.folder / "root"
        self._mount("overlay", f"lowerdir={root},upperdir={self.folder}/upper,"
                    f"workdir={self.folder}/work", self.root)

    @staticmethod
    def _mount(kind, options, target):
        subprocess.run(["mount", "-t", kind, "-o", options, kind, target],
                       check=True)

    def boot(self, seconds=60):
        with open(self.folder / "console", "w", encoding="utf-8") as console:
            self._nspawn = subprocess.Popen(
                ["systemd-nspawn", "-D", self.root, "--register=no",
                 "--keep-unit", "--capability=all", "--private-network",
                 "--resolv-conf=off", "--timezone=off",
                 "-b", "--console=pipe", "systemd.unit=basic.target"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"})
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._nspawn.poll() is not None:
                break
            self.leader = self._find_leader()
            if self.leader and self.run(
                    "systemctl", "is-active", "basic.target",
                    check=False).stdout.strip() == "active":
                return
            time.sleep(0.1)
        raise AssertionError(f"no systemd came up:\n{self.console()}")

    def _find_leader(self):
        children = pathlib.Path(f"/proc/{self._nspawn.pid}/task/"
                                f"{self._nspawn.pid}/children")
        pids = children.read_text(encoding="ascii").split()
        own = _pid_namespace("self")
        return next((int(pid) for pid in pids if _pid_namespace(pid) != own),
                    None)

    def console(self):
        return (self.folder / "console").read_text(encoding="utf-8",
                                                   errors="replace")

    def command(self, *words):
        # Of the namespaces, all but the user's: there is none.
        return ["nsenter", "--target", str(self.leader), "--mount", "--uts",
                "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd",
                "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                "DEBIAN_FRONTEND=noninteractive", "HOME=/root", "LC_ALL=C.UTF-8",
                *map(str, words)]

    def run(self, *words, check=True, timeout=60):
        """Runs a command inside to its end."""
        result = subprocess.run(
            self.command(*words), capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=timeout, check=False)
        if check and result.returncode != 0:
            raise AssertionError(
                f"{' '.join(map(str, words))}: exit status {result.returncode}\n"
                f"{result.stdout}{result.stderr}\n"
                + subprocess.run(
                    self.command("journalctl", "--no-pager", "-n", "60"),
                    capture_output=True, text=True, check=False).stdout)
        return result

    def start(self, *words):
        """Starts a command inside."""
        return subprocess.Popen(self.command(*words), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True,
                                stdin=subprocess.DEVNULL)

    def outer_pid(self, inner_pid):
        """The number outside of a process inside."""
        namespace = _pid_namespace(self.leader)
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            try:
                if _pid_namespace(status.parent.name) != namespace:
                    continue
                for line in status.read_text(encoding="utf-8").splitlines():
                    if line.startswith("NSpid:"):
                        if line.split()[-1] == str(inner_pid):
                            return int(status.parent.name)
            except OSError:
                continue  # it has ended
        raise AssertionError(f"no process {inner_pid} in the container")

    def close(self):
        if self._nspawn is not None:
            if self.leader and self._nspawn.poll() is None:
                self.run("systemctl", "poweroff", check=False)
            try:
                self._nspawn.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait()
        for target in (self.root, self.folder):
            subprocess.run(["umount", "--lazy", target], check=True)
        shutil.rmtree(self.folder)
