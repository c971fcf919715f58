"""Starts and stops the programs under test."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("MLAD_BIN", TOP / "build/release/bin"))
DEMO_MODEL = TOP / "deploy/demo/tiny-mla-21m-q8_0.gguf"


def run_mlad(*arguments, timeout=60, **environment):
    """Runs mlad to its end."""
    return subprocess.run(
        [BIN / "mlad", *map(str, arguments)], capture_output=True, text=True,
        timeout=timeout, env={**os.environ, **environment}, check=False)


class Daemon:
    """mlad serve on a unix socket and a free port, in a folder of its own."""

    def __init__(self, *arguments, **environment):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mlad-e2e-"))
        self.socket = f"unix:{self.folder / 'mlad.sock'}"
        self.log_path = self.folder / "log"
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [BIN / "mlad", "serve", "--listen", self.socket,
                 "--listen", "127.0.0.1:0", *map(str, arguments)],
                stderr=log, env={**os.environ, **environment})

    def __enter__(self):
        self.wait_until_serving()
        return self

    def __exit__(self, *_):
        self.stop()

    def log(self):
        return self.log_path.read_text(encoding="utf-8")

    def wait_for_log(self, pattern, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            match = re.search(pattern, self.log())
            if match:
                return match
            if self.process.poll() is not None:
                raise AssertionError(f"mlad ended early:\n{self.log()}")
            time.sleep(0.02)
        raise AssertionError(f"no {pattern!r} in the log:\n{self.log()}")

    def wait_until_serving(self):
        self.wait_for_log(r" serving\n")

    def tcp_address(self):
        return self.wait_for_log(r"listening on (127\.0\.0\.1:\d+)")[1]

    def cpu_seconds(self):
        """Of all threads, in user and kernel mode, since the start."""
        stat = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text(
            encoding="utf-8")
        user, system = stat.rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        """SIGTERM; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=60)
        shutil.rmtree(self.folder, ignore_errors=True)
        return status

    def command(self, *arguments):
        return [str(BIN / "mla-ctl"), "--address", self.socket,
                *map(str, arguments)]

    def ctl(self, *arguments, stdin="", timeout=60):
        """Runs mla-ctl to its end."""
        return subprocess.run(self.command(*arguments), input=stdin,
                              capture_output=True, text=True, timeout=timeout,
                              check=False)

    def ctl_json(self, *arguments, stdin=""):
        """The JSON that a successful mla-ctl prints."""
        result = self.ctl(*arguments, "--json", stdin=stdin)
        if result.returncode != 0:
            raise AssertionError(f"{arguments}: exit status "
                                 f"{result.returncode}: {result.stderr}")
        return json.loads(result.stdout)
