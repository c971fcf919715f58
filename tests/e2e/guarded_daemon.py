"""A base of tests of who gets in: certificates, channels, the codes of calls."""

import pathlib
import tempfile
import unittest

import grpc

from certificates import Authority

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


class GuardedDaemonTest(unittest.TestCase):
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
