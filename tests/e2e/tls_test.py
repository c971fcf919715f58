"""TLS: who gets through the handshake, and certificates that change."""

import os
import socket
import ssl
import subprocess
import time
import unittest

from certificates import Authority
from daemon import BIN, Daemon
from guarded_daemon import Code, GuardedDaemonTest, code_of


class TlsTest(GuardedDaemonTest):
    def test_tls(self):
        with Daemon(*self.tls_flags()) as daemon:
            root = self.authority.root
            self.assertEqual(code_of(self.channel(daemon, root)), Code.OK)
            other = Authority(self.folder, "other")
            self.assertEqual(code_of(self.channel(daemon, other.root)),
                             Code.UNAVAILABLE)

            def ctl(*flags):
                return subprocess.run(
                    [BIN / "mla-ctl", "--address", daemon.tcp_address(), *flags,
                     "generate", "Call me", "-n", "3"], capture_output=True,
                    text=True, timeout=60, check=False)
            self.assertEqual(ctl("--ca", root).returncode, 0)
            for flags in (["--tls"], ["--ca", other.root]):
                result = ctl(*flags)
                self.assertEqual(result.returncode, 3)
                self.assertIn("certificate verify failed", result.stderr)
                self.assertEqual(result.stderr.count("\n"), 1)
            result = ctl("--ca", root, "--server-name", "elsewhere.example")
            self.assertEqual(result.returncode, 3)
            self.assertEqual(ctl("--ca", "/nonexistent").returncode, 2)
            self.assert_unharmed(daemon)

    def test_plaintext_and_noise_on_a_tls_port(self):
        with Daemon(*self.tls_flags()) as daemon:
            self.assertEqual(code_of(self.channel(daemon)), Code.UNAVAILABLE)
            host, port = daemon.tcp_address().split(":")
            for noise in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff",
                          os.urandom(100000)):
                with socket.create_connection((host, int(port))) as connection:
                    try:
                        connection.sendall(noise)
                        connection.shutdown(socket.SHUT_WR)
                        while connection.recv(1 << 16):
                            pass
                    except OSError:  # the daemon hung up before
                        pass
            self.assertEqual(code_of(self.channel(daemon, self.authority.root)),
                             Code.OK)
            self.assert_unharmed(daemon)

    def test_mutual_tls(self):
        root = self.authority.root
        expired = self.authority.issue("expired", begin="20200101000000Z",
                                       end="20200201000000Z")
        stranger = Authority(self.folder, "strangers").issue("stranger")
        with Daemon(*self.tls_flags(), "--tls-client-ca", root) as daemon:
            for pair, code in ((self.client, Code.OK),
                               (None, Code.UNAVAILABLE),
                               (expired, Code.UNAVAILABLE),
                               (stranger, Code.UNAVAILABLE)):
                with self.subTest(pair and pair[0].name):
                    self.assertEqual(
                        code_of(self.channel(daemon, root, pair)), code)
            result = subprocess.run(
                [BIN / "mla-ctl", "--address", daemon.tcp_address(), "--ca",
                 root, "--cert", self.client[0], "--key", self.client[1],
                 "health"], check=False)
            self.assertEqual(result.returncode, 0)
            self.assert_unharmed(daemon)

    def test_an_expired_certificate_of_the_daemon(self):
        pair = self.authority.issue("late", "IP:127.0.0.1", "20200101000000Z",
                                    "20200201000000Z")
        with Daemon("--tls-certificate", pair[0], "--tls-key",
                    pair[1]) as daemon:
            self.assertIn("has expired on 2020-02-01", daemon.log())
            self.assertEqual(code_of(self.channel(daemon, self.authority.root)),
                             Code.UNAVAILABLE)
            self.assert_unharmed(daemon)

    def test_certificates_are_read_again(self):
        link = self.folder / "current"
        for name in ("first", "second"):
            (self.folder / name).mkdir()
            for path, kind in zip(self.authority.issue(name, "IP:127.0.0.1"),
                                  ("pem", "key")):
                path.rename(self.folder / name / f"server.{kind}")
        link.symlink_to("first")
        with Daemon("--tls-certificate", link / "server.pem", "--tls-key",
                    link / "server.key") as daemon:
            host, port = daemon.tcp_address().split(":")

            def is_shown(name):
                shown = ssl.get_server_certificate((host, int(port)))
                there = (self.folder / name / "server.pem").read_text()
                return shown.strip() == there.strip()

            def put_in_place(name):
                (self.folder / "next").symlink_to(name)
                (self.folder / "next").rename(link)

            def wait_until_shown(name):
                deadline = time.monotonic() + 20
                while not is_shown(name):
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.1)
            self.assertTrue(is_shown("first"))
            put_in_place("second")
            wait_until_shown("second")
            for mistake, certificate in (
                    ("another_key", (self.folder / "first/server.pem").read_text()),
                    ("no_certificate", "not a certificate")):
                (self.folder / mistake).mkdir()
                (self.folder / mistake / "server.pem").write_text(certificate)
                (self.folder / mistake / "server.key").write_text(
                    (self.folder / "second/server.key").read_text())
                put_in_place(mistake)
                # Longer than the daemon takes to look again.
                end = time.monotonic() + 5
                while time.monotonic() < end:
                    self.assertTrue(is_shown("second"), mistake)
                    time.sleep(0.2)
            log = daemon.log()
            self.assertIn("is not the key of the certificate", log)
            self.assertIn("has no certificate in PEM form", log)
            put_in_place("first")
            wait_until_shown("first")


if __name__ == "__main__":
    unittest.main()
