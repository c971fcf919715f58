"""Who gets in and who does not, each with its gRPC code, and that the daemon is
unharmed by those who do not."""

import os
import pathlib
import pwd
import re
import resource
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

import grpc

from certificates import Authority
from daemon import BIN, Daemon, run_mlad

Code = grpc.StatusCode


def code_of(channel, method="/mlad.v1.Admin/GetStats", request=b"", token=None,
            metadata=()):
    """The status of a call with one answer."""
    call = channel.unary_unary(method)
    if token is not None:
        metadata = (*metadata, ("authorization", f"Bearer {token}"))
    try:
        call(request, metadata=metadata, timeout=30)
    except grpc.RpcError as error:
        return error.code()
    return Code.OK


def make_token(name, *roles):
    """An entry for the access file, and its token."""
    result = run_mlad("make-token", name,
                      *(f"--role={role}" for role in roles))
    assert result.returncode == 0, result.stderr
    return result.stdout, result.stderr.strip()


class SecurityTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.folder.chmod(0o755)
        cls.authority = Authority(cls.folder)
        cls.server = cls.authority.issue("server", "DNS:localhost,IP:127.0.0.1")
        cls.client = cls.authority.issue("client")

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def tls_flags(self):
        return ["--tls-certificate", self.server[0], "--tls-key",
                self.server[1]]

    def channel(self, daemon, ca=None, pair=None):
        """Over TLS when there is a ca; always a connection of its own."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        if ca is None:
            channel = grpc.insecure_channel(daemon.tcp_address(), options)
        else:
            certificate, key = pair or (None, None)
            channel = grpc.secure_channel(
                daemon.tcp_address(), grpc.ssl_channel_credentials(
                    ca.read_bytes(), key and key.read_bytes(),
                    certificate and certificate.read_bytes()), options)
        self.addCleanup(channel.close)
        return channel

    def assert_unharmed(self, daemon):
        self.assertIsNone(daemon.process.poll())
        self.assertEqual(daemon.ctl("generate", "Call me", "-n", "3").returncode,
                         0)

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
                    except ConnectionError:
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
            self.assertTrue(is_shown("first"))
            put_in_place("second")
            deadline = time.monotonic() + 20
            while not is_shown("second"):
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.1)
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
            deadline = time.monotonic() + 20
            while not is_shown("first"):
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.1)

    def test_tokens_roles_and_limits(self):
        web, web_token = make_token("web")
        admin, admin_token = make_token("boss", "admin", "infer")
        access = self.write("access.toml", web + "requests_per_minute = 3\n"
                            + admin)
        tokenize = "/mlad.v1.Inference/Tokenize"
        with Daemon("--access", access) as daemon:
            channel = self.channel(daemon)
            for token, method, code in (
                    (None, tokenize, Code.UNAUTHENTICATED),
                    ("wrong", tokenize, Code.UNAUTHENTICATED),
                    (web_token[:-1], tokenize, Code.UNAUTHENTICATED),
                    (web_token, tokenize, Code.OK),
                    (web_token, "/mlad.v1.Admin/GetStats",
                     Code.PERMISSION_DENIED),
                    (admin_token, "/mlad.v1.Admin/GetStats", Code.OK),
                    (admin_token, tokenize, Code.OK),
                    (None, "/mlad.v1.Inference/Generate", Code.UNAUTHENTICATED),
                    (None, "/mlad.v1.Admin/WatchStats", Code.UNAUTHENTICATED),
                    (None, "/grpc.health.v1.Health/Check", Code.OK)):
                with self.subTest(method, token=token):
                    self.assertEqual(code_of(channel, method, token=token),
                                     code)
            self.assertEqual(
                code_of(channel, tokenize,
                        metadata=[("authorization", "Basic abc")]),
                Code.UNAUTHENTICATED)
            codes = [code_of(channel, tokenize, token=web_token)
                     for _ in range(3)]
            self.assertEqual(codes, [Code.OK, Code.OK, Code.RESOURCE_EXHAUSTED])
            # Our own user needs no token over a unix socket.
            self.assert_unharmed(daemon)
            # A token that is gone is refused after a reload.
            access.write_text(web, encoding="utf-8")
            daemon.process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 20
            while code_of(channel, tokenize,
                          token=admin_token) != Code.UNAUTHENTICATED:
                self.assertLess(time.monotonic(), deadline)
            access.write_text("nonsense\n", encoding="utf-8")
            daemon.process.send_signal(signal.SIGHUP)
            daemon.wait_for_log("who may call stays as it was")
            self.assertEqual(code_of(channel, tokenize, token=admin_token),
                             Code.UNAUTHENTICATED)
            for secret in (web_token, admin_token, "wrong"):
                self.assertNotIn(secret, daemon.log())

    def test_mla_ctl_shows_a_token(self):
        entry, token = make_token("web")
        access = self.write("ctl.toml", entry)
        path = self.write("token", token + "\n")
        with Daemon("--access", access) as daemon:
            command = [BIN / "mla-ctl", "--address", daemon.tcp_address()]
            tokenize = ["tokenize", "Call me"]
            for flags, environment, status in (
                    ([], {}, 1), (["--token-file", path], {}, 0),
                    ([], {"MLAD_TOKEN": token}, 0),
                    ([], {"MLAD_TOKEN": "wrong"}, 1)):
                result = subprocess.run(
                    [*command, *flags, *tokenize], capture_output=True,
                    text=True, env={**os.environ, **environment}, check=False)
                self.assertEqual(result.returncode, status, result.stderr)
            self.assertIn("the token is not known here", result.stderr)

    def test_certificates_have_roles(self):
        access = self.write(
            "certificates.toml",
            '[[client]]\nname = "gateway"\ncertificate = "client"\n'
            'roles = ["infer"]\n')
        root = self.authority.root
        with Daemon(*self.tls_flags(), "--tls-client-ca", root, "--access",
                    access) as daemon:
            channel = self.channel(daemon, root, self.client)
            self.assertEqual(code_of(channel, "/mlad.v1.Inference/Tokenize"),
                             Code.OK)
            self.assertEqual(code_of(channel), Code.PERMISSION_DENIED)
            another = self.authority.issue("another")
            self.assertEqual(code_of(self.channel(daemon, root, another)),
                             Code.UNAUTHENTICATED)

    @unittest.skipIf(os.geteuid() != 0, "needs root to become somebody else")
    def test_users_of_a_unix_socket(self):
        access = self.write(
            "users.toml",
            '[[client]]\nname = "daemons"\nuser = "daemon"\n'
            'roles = ["infer"]\n'
            '[[client]]\nname = "staff"\ngroup = "staff"\nroles = ["admin"]\n')
        with Daemon("--access", access, "--socket-mode", "0666") as daemon:
            daemon.folder.chmod(0o755)
            command = [BIN / "mla-ctl", "--address", daemon.socket]

            def status(user, groups, *arguments):
                who = pwd.getpwnam(user)
                return subprocess.run(
                    [*command, *arguments], user=who.pw_uid, group=who.pw_gid,
                    extra_groups=groups, capture_output=True,
                    check=False).returncode
            self.assertEqual(status("daemon", [], "tokenize", "a"), 0)
            self.assertEqual(status("daemon", [], "stats"), 1)
            self.assertEqual(status("nobody", ["staff"], "stats"), 0)
            self.assertEqual(status("nobody", ["staff"], "tokenize", "a"), 1)
            self.assertEqual(status("nobody", [], "stats"), 1)
            self.assertEqual(status("root", [], "stats"), 0)

    def test_what_is_too_large(self):
        with Daemon("--max-request-mib", "1") as daemon:
            channel = self.channel(daemon)
            method = "/mlad.v1.Inference/Tokenize"
            self.assertEqual(code_of(channel, method, b"\x0a" * (1 << 20 | 1)),
                             Code.RESOURCE_EXHAUSTED)
            self.assertEqual(code_of(channel, method), Code.OK)
            self.assertEqual(
                code_of(channel, method, metadata=[("x-big", "x" * 100000)]),
                Code.RESOURCE_EXHAUSTED)
            # gRPC may close the connection of such a header; others are served.
            self.assertEqual(code_of(self.channel(daemon), method), Code.OK)
            self.assert_unharmed(daemon)

    def connect_often(self, daemon, count):
        host, port = daemon.tcp_address().split(":")
        connections = []
        for _ in range(count):
            connection = socket.socket()
            connection.settimeout(30)
            connection.connect((host, int(port)))
            self.addCleanup(connection.close)
            connections.append(connection)
        return connections

    def test_ten_thousand_connections(self):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < 11000:
            self.skipTest(f"only {hard} files may be open")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        for limit in (500, 10500):
            with self.subTest(limit), Daemon("--max-connections", limit) as d:
                before = self.channel(d)
                self.assertEqual(code_of(before), Code.OK)
                connections = self.connect_often(d, 10000)
                # Who was there before, and who comes another way, is served.
                self.assertEqual(code_of(before), Code.OK)
                self.assert_unharmed(d)
                files = len(os.listdir(f"/proc/{d.process.pid}/fd"))
                self.assertLess(files, limit + 100)
                self.assertEqual(
                    code_of(self.channel(d)),
                    Code.UNAVAILABLE if limit < 10000 else Code.OK)
                for connection in connections:
                    connection.close()
                deadline = time.monotonic() + 60
                while code_of(self.channel(d)) != Code.OK:
                    self.assertLess(time.monotonic(), deadline)
                self.assert_unharmed(d)

    def test_without_files_left(self):
        """More connections than the process may have files: they wait."""
        with Daemon() as daemon:
            resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE,
                             (200, 200))
            connections = self.connect_often(daemon, 400)
            time.sleep(0.5)
            for connection in connections:
                connection.close()
            deadline = time.monotonic() + 60
            while code_of(self.channel(daemon)) != Code.OK:
                self.assertLess(time.monotonic(), deadline)
            self.assert_unharmed(daemon)

    def test_nothing_listens_beyond_the_machine_unguarded(self):
        tls = self.tls_flags()
        entry, _ = make_token("web")
        access = ["--access", self.write("exposed.toml", entry)]
        for flags, refusal in (
                ([], "in the clear"), (access, "in the clear"),
                (tls, "anybody there could call"), (["--insecure"], None),
                ([*tls, *access], None),
                ([*tls, "--tls-client-ca", self.authority.root], None)):
            with self.subTest(flags):
                result = run_mlad("check-config", "--listen", ":0", *flags)
                if refusal is None:
                    self.assertEqual(result.returncode, 0, result.stderr)
                else:
                    self.assertEqual(result.returncode, 2)
                    self.assertIn(refusal, result.stderr)
        self.assertEqual(run_mlad("serve", "--listen", ":0").returncode, 2)
        result = run_mlad("check-config", "--listen", "localhost:0")
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_mistakes_in_files(self):
        other = self.authority.issue("unrelated")
        for flags, words in (
                (["--tls-certificate", self.server[0]], "go together"),
                (["--tls-client-ca", self.authority.root], "needs"),
                (["--tls-certificate", self.server[0], "--tls-key", other[1]],
                 "is not the key of"),
                (["--tls-certificate", self.server[1], "--tls-key",
                  self.server[1]], "no certificate"),
                (["--tls-certificate", "/nonexistent", "--tls-key",
                  self.server[1]], "No such file")):
            with self.subTest(flags):
                result = run_mlad("check-config", *flags)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(words, result.stderr)
        client = '[[client]]\nname = "a"\n'
        entry, _ = make_token("a")
        for text, words in (
                ("[client]\n", "[[client]]"),
                (client, "needs one of"),
                (client + 'user = "root"\n', "no roles"),
                (client + 'user = "no-such-user"\n', "no user"),
                (client + 'tokn_sha256 = "a"\n', "did you mean 'token_sha256'"),
                (client + 'token_sha256 = "abc"\n', "64 hexadecimal"),
                (client + 'roles = ["king"]\n', '"infer" or "admin"'),
                (client + "max_running = 0\n", "1 or more"),
                (entry + entry, "twice")):
            with self.subTest(text):
                result = run_mlad("check-config", "--access",
                                  self.write("bad.toml", text))
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertIn(words, result.stderr)
                self.assertRegex(result.stderr, r"bad\.toml:\d")
                self.assertNotRegex(result.stderr, "[0-9a-f]{64}")
        path = self.write("open.toml", entry)
        path.chmod(0o666)
        result = run_mlad("check-config", "--access", path)
        self.assertIn("anybody may write", result.stderr)

    def test_the_log_tells_no_prompts(self):
        with Daemon("--log-level", "debug") as daemon:
            daemon.ctl("generate", "xyzzy plugh", "-n", "3")
            daemon.ctl("chat", "xyzzy plugh", "-n", "3")
            daemon.ctl("score", "xyzzy plugh")
            daemon.ctl("generate", "--tokens", "987654", "-n", "3")
            self.assertIsNone(re.search("xyzzy|plugh|987654", daemon.log()))


if __name__ == "__main__":
    unittest.main()
