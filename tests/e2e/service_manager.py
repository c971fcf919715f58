"""Stands in for systemd: starts mlad, listens to it, keeps its descriptors."""

import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from daemon import BIN


class ServiceManager:
    """One service; its file descriptor store lasts from process to process."""

    def __init__(self, *arguments):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mlad-service-"))
        self.address = f"unix:{self.folder}/mlad.sock"
        self.log_path = self.folder / "log"
        self.arguments = arguments
        self.store = []  # (name, descriptor)
        self.ready = threading.Event()
        self.process = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.folder / "notify"))
        self._ended = threading.Event()
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self):
        while not self._ended.is_set():
            if select.select([self._socket], [], [], 0.05)[0]:
                self._take(*socket.recv_fds(self._socket, 4096, 1)[:2])

    def _take(self, message, descriptors):
        fields = dict(line.split("=", 1)
                      for line in message.decode().splitlines())
        name = fields.get("FDNAME")
        if "FDSTOREREMOVE" in fields:
            for entry in [e for e in self.store if e[0] == name]:
                os.close(entry[1])
                self.store.remove(entry)
        elif "FDSTORE" in fields:
            self.store.extend((name, descriptor) for descriptor in descriptors)
        if "READY" in fields:
            self.ready.set()

    def start(self):
        """Seconds until the service says that it is ready."""
        self.ready.clear()
        descriptors = [descriptor for _, descriptor in self.store]
        begin = time.monotonic()
        # A process of its own puts the descriptors at 3 and following.
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-S", __file__, *map(str, descriptors), "--",
                 BIN / "mlad", "serve", "--listen", self.address,
                 *map(str, self.arguments)],
                stderr=log, pass_fds=descriptors,
                env={**os.environ,
                     "NOTIFY_SOCKET": str(self.folder / "notify"),
                     "LISTEN_FDNAMES": ":".join(n for n, _ in self.store)})
        while not self.ready.wait(0.002):
            if self.process.poll() is not None:
                raise AssertionError(f"mlad ended early:\n{self.log()}")
            if time.monotonic() > begin + 120:
                raise AssertionError(f"mlad is not ready:\n{self.log()}")
        return time.monotonic() - begin

    def log(self):
        return self.log_path.read_text(encoding="utf-8")

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.wait(timeout=60)

    def ctl(self, *arguments):
        return subprocess.run(
            [BIN / "mla-ctl", "--address", self.address, *map(str, arguments)],
            capture_output=True, text=True, timeout=120, check=True).stdout

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.end()
        self._ended.set()
        self._listener.join()
        self._socket.close()
        for _, descriptor in self.store:
            os.close(descriptor)
        shutil.rmtree(self.folder)

    def wait_for_log(self, pattern):
        deadline = time.monotonic() + 20
        while not re.search(pattern, self.log()):
            if time.monotonic() > deadline:
                raise AssertionError(f"no {pattern!r} in:\n{self.log()}")
            time.sleep(0.02)


def _become(descriptors, command):
    """Moves the descriptors to 3 and following, then runs the command here."""
    high = [os.dup2(d, 500 + i) for i, d in enumerate(descriptors)]
    for i, descriptor in enumerate(high):
        os.dup2(descriptor, 3 + i)
        os.close(descriptor)
    os.closerange(3 + len(high), 500)
    if descriptors:
        os.environ["LISTEN_FDS"] = str(len(descriptors))
        os.environ["LISTEN_PID"] = str(os.getpid())
    os.execv(command[0], command)


if __name__ == "__main__":
    split = sys.argv.index("--")
    _become([int(word) for word in sys.argv[1:split]], sys.argv[split + 1:])
