"""Who gets in and who does not, each with its gRPC code, and that the daemon is
unharmed by those who do not."""

import os
import pwd
import re
import resource
import signal
import socket
import subprocess
import time
import unittest

from daemon import BIN, Daemon, run_mlad
from guarded_daemon import Code, GuardedDaemonTest, code_of


def make_token(name, *roles):
    """An entry for the access file, and its token."""
    result = run_mlad("make-token", name,
                      *(f"--role={role}" for role in roles))
    assert result.returncode == 0, result.stderr
    return result.stdout, result.stderr.strip()


class SecurityTest(GuardedDaemonTest):
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
