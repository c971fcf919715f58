"""The package on a booted Debian: installation, the service's life, removal.

Needs root and systemd-nspawn. Boots MLAD_BOOT_ROOT, or build/boot/root where
make_root.sh has made it, or else a copy-on-write view of this machine's own root.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import unittest

from container import Container
from stopped_thread import stop_until_killed, threads_named

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MLAD_BUILD", TOP / "build/release"))
SOCKET = "unix:/run/mlad/mlad.sock"
PROMPT = "In the beginning"
WORST_EXPOSURE = 2.0
WORKER_THREADS = "mlad/"


def choose_root():
    for root in (os.environ.get("MLAD_BOOT_ROOT"), TOP / "build/boot/root"):
        if root and pathlib.Path(root).is_dir():
            return root
    return "/"


def build_package():
    subprocess.run(["cpack", "-G", "DEB"], cwd=BUILD, check=True,
                   capture_output=True)
    return max(BUILD.glob("mlad_*.deb"), key=lambda path: path.stat().st_mtime)


def repack(package, folder, version):
    """The same package with another version."""
    content = folder / "content"
    subprocess.run(["dpkg-deb", "--raw-extract", package, content], check=True)
    control = content / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {version}",
                              control.read_text(encoding="utf-8")),
                       encoding="utf-8")
    result = folder / f"mlad_{version}.deb"
    subprocess.run(["dpkg-deb", "-Znone", "--build", content, result],
                   check=True, capture_output=True)
    shutil.rmtree(content)
    return result


class BootTest(unittest.TestCase):
    """One life of one installation: the tests run in the order of their names."""

    @classmethod
    def setUpClass(cls):
        root = choose_root()
        print(f"root: {root}")
        cls.package = package = build_package()
        cls.box = Container(root)
        try:
            # Forbids services to packages, on machines for building.
            (cls.box.root / "usr/sbin/policy-rc.d").unlink(missing_ok=True)
            folder = cls.box.root / "root"
            shutil.copy(package, folder / "mlad.deb")
            repack(package, folder, "99.0").rename(folder / "mlad-99.deb")
            cls.box.boot()
        except BaseException:
            cls.box.close()
            raise
        cls.greedy = None

    @classmethod
    def tearDownClass(cls):
        cls.box.close()

    def show(self, *properties):
        lines = self.box.run("systemctl", "show", "mlad", *(
            f"--property={name}" for name in properties)).stdout.splitlines()
        values = dict(line.split("=", 1) for line in lines)
        return [values[name] for name in properties]

    def journal(self, *matches):
        """Entries of the service, oldest first."""
        lines = self.box.run("journalctl", "--no-pager", "-o", "json",
                             "_SYSTEMD_UNIT=mlad.service",
                             *matches).stdout.splitlines()
        return [json.loads(line) for line in lines]

    def generate(self, count=24, address=SOCKET):
        result = self.box.run("mla-ctl", "--address", address, "generate",
                              PROMPT, "--greedy", "--ignore-eos", "-n", count,
                              "--json", timeout=120)
        return json.loads(result.stdout)["token_ids"]

    def chat_turn(self):
        """The answer to a long prompt."""
        ids = ",".join(str(300 + i) for i in range(120))
        return json.loads(self.box.run(
            "mla-ctl", "--address", SOCKET, "generate", "--tokens", ids,
            "--greedy", "--ignore-eos", "-n", 16, "--json").stdout)

    def assert_warm(self):
        """The process that serves has taken over the memory of the last."""
        serving = self.journal("MLAD_EVENT=serving")[-1]
        self.assertEqual(serving["MLAD_WARM"], "1")

    def start_load(self):
        """A client whose answer is far from complete."""
        client = self.box.start("mla-ctl", "--address", SOCKET, "generate",
                                PROMPT, "--ignore-eos", "-n", 1000)
        client.stdout.read(1)
        return client

    def await_restart(self, old_pid, seconds=30):
        """Until another process serves."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state, pid = self.show("ActiveState", "MainPID")
            if state == "active" and pid not in ("0", old_pid):
                return pid
            time.sleep(0.05)
        self.fail(f"not restarted:\n{self.box.run('journalctl', '-u', 'mlad').stdout}")

    def reload(self):
        """Returns what the daemon said of it."""
        seen = len(self.journal())
        self.box.run("systemctl", "reload", "mlad")
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            said = "\n".join(entry["MESSAGE"] for entry in self.journal()[seen:])
            if re.search("read the configuration again|stays as it was", said):
                return said
            time.sleep(0.05)
        self.fail("nothing was said of the reload")

    def set_watchdog(self, seconds):
        self.box.run("mkdir", "-p", "/run/systemd/system/mlad.service.d")
        (pathlib.Path(f"/proc/{self.box.leader}/root/run/systemd/system/"
                      "mlad.service.d/watchdog.conf")
         .write_text(f"[Service]\nWatchdogSec={seconds}\n", encoding="utf-8"))
        self.box.run("systemctl", "daemon-reload")
        self.box.run("systemctl", "restart", "mlad")

    def test_00_the_package_keeps_debians_policy(self):
        result = subprocess.run(
            ["lintian", "--fail-on", "error,warning", self.package],
            capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_01_installs_and_starts_nothing(self):
        self.box.run("apt-get", "install", "--yes", "--no-install-recommends",
                     "/root/mlad.deb", timeout=180)
        self.assertEqual(self.show("ActiveState", "UnitFileState"),
                         ["inactive", "disabled"])
        self.box.run("getent", "passwd", "mlad")
        for page in ("mlad.1", "mla-ctl.1", "mlad.toml.5"):
            section = page[-1]
            self.box.run("test", "-s", f"/usr/share/man/man{section}/{page}.gz")
        self.box.run("bash", "-c", "source /usr/share/bash-completion/completions/"
                     "mlad; COMP_WORDS=(mlad serve --conte); COMP_CWORD=2; _mlad; "
                     "[ \"${COMPREPLY[*]}\" = --context ]")

    def test_02_unit_files_have_no_mistakes(self):
        for unit in ("mlad.service", "mlad.socket"):
            result = self.box.run("systemd-analyze", "--man=no", "verify",
                                  f"/lib/systemd/system/{unit}")
            self.assertEqual(result.stdout + result.stderr, "")

    def test_03a_starts_and_generates(self):
        self.box.run("systemctl", "start", "mlad")
        self.assertEqual(self.show("ActiveState", "StatusText"),
                         ["active", "Serving tiny-mla-21m"])
        type(self).greedy = self.generate()
        self.assertEqual(len(self.greedy), 24)
        self.assertEqual(self.generate(address="127.0.0.1:6523"), self.greedy)
        serving, = self.journal("MLAD_EVENT=serving")
        self.assertEqual(serving["MLAD_MODEL"], "tiny-mla-21m")
        self.assertGreater(int(serving["MLAD_WEIGHTS_BYTES"]), 20e6)
        self.assertEqual(serving["_UID"],
                         self.box.run("id", "-u", "mlad").stdout.strip())

    def test_03b_keeps_sessions_where_it_may_write(self):
        self.chat_turn()
        ids = ",".join(str(300 + i) for i in range(120))
        self.box.run("mla-ctl", "--address", SOCKET, "session", "save", "boot",
                     "--tokens", ids)
        self.box.run("mla-ctl", "--address", SOCKET, "session", "restore",
                     "boot")
        files = self.box.run("ls", "-l", "/var/lib/mlad/sessions").stdout
        self.assertRegex(files, r"-rw------- .* boot\.mlad-session")

    def test_04_is_locked_up(self):
        lines = self.box.run("systemd-analyze", "security", "--no-pager",
                             "mlad.service").stdout.splitlines()
        exposed = [line for line in lines if line.startswith("\u2717")]
        print("\n".join(exposed + lines[-1:]))
        exposure = float(re.search(r"exposure level.*?: ([\d.]+)", lines[-1])[1])
        self.assertLessEqual(exposure, WORST_EXPOSURE)
        # A stranger may not use the socket.
        refused = self.box.run("setpriv", "--reuid=65534", "--regid=65534",
                               "--clear-groups", "mla-ctl", "--address", SOCKET,
                               "health", check=False)
        self.assertEqual(refused.returncode, 3)

    def test_05_reload_takes_what_can_change(self):
        config = pathlib.Path(
            f"/proc/{self.box.leader}/root/etc/mlad/mlad.toml")
        before = config.read_text(encoding="utf-8")
        pid, = self.show("MainPID")
        config.write_text(before + 'log_level = "debug"\nmax_queued = 7\n',
                          encoding="utf-8")
        self.assertIn("next start only", self.reload())
        config.write_text(before + "log_levle = 1\n", encoding="utf-8")
        mistaken = self.reload()
        self.assertIn("log_levle", mistaken)
        self.assertIn("stays as it was", mistaken)
        config.write_text(before + "drain_s = 5\n", encoding="utf-8")
        self.assertNotIn("next start only", self.reload())
        self.assertEqual(len(self.journal("MLAD_EVENT=reloaded")), 2)
        self.assertEqual(self.show("MainPID", "ActiveState"), [pid, "active"])

    def test_06_restart_under_load(self):
        pid, = self.show("MainPID")
        client = self.start_load()
        self.box.run("systemctl", "restart", "mlad")
        client.communicate(timeout=60)
        self.assertEqual(client.returncode, 0)  # drained: its answer is whole
        self.assertNotEqual(self.show("MainPID"), [pid])
        self.assertEqual(self.generate(), self.greedy)
        self.assert_warm()

    def test_07_killed_under_load(self):
        before = self.chat_turn()
        pid, = self.show("MainPID")
        client = self.start_load()
        self.box.run("systemctl", "kill", "--signal=KILL", "mlad")
        client.communicate(timeout=60)
        self.assertEqual(client.returncode, 3)
        self.await_restart(pid)
        self.assert_warm()
        answer = self.chat_turn()
        self.assertEqual(answer["token_ids"], before["token_ids"])
        self.assertGreaterEqual(answer["usage"]["cached_tokens"], 96)
        self.assertEqual(self.generate(), self.greedy)

    def test_08_watchdog_leaves_an_idle_daemon_alone(self):
        self.set_watchdog(1)
        before = self.show("MainPID", "NRestarts")
        time.sleep(3)
        self.assertEqual(self.show("MainPID", "NRestarts"), before)
        self.assertEqual(self.generate(), self.greedy)

    def test_09_watchdog_catches_a_stuck_worker(self):
        pid, = self.show("MainPID")
        outer = self.box.outer_pid(pid)
        client = self.start_load()
        worker = threads_named(outer, WORKER_THREADS)[-1]
        witness = stop_until_killed(worker)
        self.await_restart(pid)
        witness.join(timeout=10)
        client.communicate(timeout=60)
        self.assertEqual(client.returncode, 3)
        stuck, = self.journal("MLAD_EVENT=stuck")
        self.assertIn("longer than the watchdog allows", stuck["MESSAGE"])
        self.assertEqual(stuck["PRIORITY"], "3")
        self.assertEqual(stuck["_PID"], pid)
        self.assertEqual(self.generate(), self.greedy)

    def test_10_socket_activation(self):
        self.box.run("systemctl", "stop", "mlad")
        self.assertEqual(self.show("ActiveState", "Result"),
                         ["inactive", "success"])
        self.box.run("systemctl", "start", "mlad.socket")
        self.assertEqual(self.generate(), self.greedy)
        self.assertEqual(self.show("ActiveState"), ["active"])
        self.assertEqual(self.generate(address="127.0.0.1:6523"), self.greedy)
        # Who comes during a restart waits and is not refused.
        with self.box.start("systemctl", "restart", "mlad") as restart:
            while restart.poll() is None:
                health = self.box.run("mla-ctl", "--address", SOCKET, "health",
                                      check=False)
                self.assertNotIn("refused", health.stderr)
        self.box.run("systemctl", "stop", "mlad.socket", "mlad")

    def test_11_upgrade_goes_on_serving(self):
        self.box.run("systemctl", "start", "mlad")
        pid, = self.show("MainPID")
        self.box.run("apt-get", "install", "--yes", "--no-install-recommends",
                     "/root/mlad-99.deb", timeout=180)
        self.assertNotEqual(self.show("MainPID"), [pid])
        self.assertEqual(self.show("ActiveState"), ["active"])
        self.assertEqual(self.generate(), self.greedy)
        # The administrator's configuration is as it was.
        self.box.run("grep", "-q", "^drain_s = 5", "/etc/mlad/mlad.toml")

    def test_12_stops_and_is_purged(self):
        self.box.run("systemctl", "stop", "mlad")
        self.assertEqual(self.show("ActiveState", "Result"),
                         ["inactive", "success"])
        last = self.journal("MLAD_EVENT=stopped")[-1]
        self.assertEqual(last["MESSAGE"], "stopped")
        self.box.run("apt-get", "purge", "--yes", "mlad", timeout=180)
        self.assertEqual(self.show("LoadState"), ["not-found"])
        for path in ("/etc/mlad", "/var/lib/mlad", "/run/mlad", "/usr/bin/mlad",
                     "/usr/share/mlad"):
            self.box.run("test", "!", "-e", path)
        failed = self.box.run("systemctl", "--failed", "--no-legend").stdout
        self.assertNotIn("mlad", failed)


if __name__ == "__main__":
    if os.geteuid() != 0 or shutil.which("systemd-nspawn") is None:
        print("SKIPPED: booting needs root and systemd-nspawn")
        sys.exit(77)
    unittest.main(failfast=True, verbosity=2)
