"""Starting, stopping and what stands in the way of it."""

import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from daemon import BIN, DEMO_MODEL, Daemon, run_mlad


class LifecycleTest(unittest.TestCase):
    def test_sigterm_lets_running_requests_finish(self):
        daemon = Daemon()
        daemon.wait_until_serving()
        client = subprocess.Popen(
            daemon.command("generate", "Call me", "--ignore-eos", "-n", "900",
                           "--json"),
            stdout=subprocess.PIPE, text=True)
        while daemon.ctl_json("stats")["engine"]["running"] == 0:
            self.assertIsNone(client.poll())
        daemon.process.send_signal(signal.SIGTERM)
        output, _ = client.communicate(timeout=60)
        self.assertEqual(client.returncode, 0)
        self.assertIn('"completion_tokens":900', output)
        self.assertEqual(daemon.stop(), 0)

    def test_drain_ends_at_its_deadline(self):
        daemon = Daemon("--drain-s", "0")
        daemon.wait_until_serving()
        client = subprocess.Popen(
            daemon.command("generate", "Call me", "--ignore-eos", "-n", "1000"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        client.stdout.read(1)
        self.assertEqual(daemon.stop(), 0)
        client.communicate(timeout=60)
        self.assertIn(client.returncode, (0, 3))

    def test_a_full_daemon_refuses_at_once(self):
        with Daemon("--max-sequences", "1", "--max-queued", "0") as daemon:
            running = subprocess.Popen(
                daemon.command("generate", "Call me", "--ignore-eos"),
                stdout=subprocess.PIPE)
            running.stdout.read(1)
            began = time.monotonic()
            refused = daemon.ctl("generate", "Call me", "-n", "1")
            self.assertLess(time.monotonic() - began, 2)
            self.assertEqual(refused.returncode, 4)
            self.assertRegex(refused.stderr, r"queue is full.*; retry in .*s\.")
            self.assertEqual(daemon.ctl_json("stats")["engine"]["refused"], 1)
            self.assertIn("1 of 1 running, 0 of 0 queued, 0 paused, of 1 "
                          "clients", daemon.ctl("stats").stdout)
            running.kill()
            running.communicate()
            # The place of a client that is gone becomes free.
            while daemon.ctl_json("stats")["engine"]["running"] > 0:
                self.assertLess(time.monotonic() - began, 20)
            self.assertEqual(
                daemon.ctl("generate", "Call me", "-n", "1").returncode, 0)

    def test_port_in_use(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            address = f"127.0.0.1:{other.getsockname()[1]}"
            result = run_mlad("serve", "--listen", address)
        self.assertEqual(result.returncode, 1)
        self.assertIn(address, result.stderr)
        self.assertIn("another program listens", result.stderr)

    def test_killed_daemon_leaves_nothing_in_the_way(self):
        with tempfile.TemporaryDirectory() as folder:
            address = f"unix:{folder}/mlad.sock"
            first = Daemon("--listen", address)
            first.wait_until_serving()
            first.process.kill()
            first.process.wait()
            first.stop()
            second = Daemon("--listen", address)
            second.wait_until_serving()
            health = subprocess.run(
                [BIN / "mla-ctl", "--address", address, "health"], check=False)
            self.assertEqual(health.returncode, 0)
            self.assertEqual(second.stop(), 0)

    def test_configuration_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "mlad.toml")
            path.write_text(
                f'model = "{DEMO_MODEL}"\nkv = "q8_0"\ncontext = 512\n'
                "threads_per_node = 1\n", encoding="utf-8")
            with Daemon("--config", path) as daemon:
                info = daemon.ctl_json("topology")["model"]
                self.assertEqual(info["kv_type"], "q8_0")
                self.assertEqual(info["context_tokens"], 512)
            with Daemon("--config", path, "--kv", "q6_0") as daemon:
                info = daemon.ctl_json("topology")["model"]
                self.assertEqual(info["kv_type"], "q6_0")

    def test_an_idle_daemon_uses_no_cpu(self):
        with Daemon("--nodes", "2", "--threads-per-node", "2") as daemon:
            daemon.ctl_json("generate", "Call me", "-n", "20")
            time.sleep(0.5)  # workers spin for some time before they sleep
            before = daemon.cpu_seconds()
            time.sleep(3)
            # gRPC looks at its timers now and then.
            self.assertLess(daemon.cpu_seconds() - before, 0.06)

    def test_loading_leaves_the_page_cache_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            kind = subprocess.run(["stat", "-f", "-c", "%T", folder], check=True,
                                  capture_output=True, text=True).stdout
            if kind.strip() == "tmpfs":
                self.skipTest("the folder for temporary files is in memory")
            model = pathlib.Path(folder, "model.gguf")
            subprocess.run([BIN / "mla-synth", "--preset", "v3mini", "-o",
                            model], check=True, capture_output=True)
            with open(model, "rb") as file:
                os.fsync(file.fileno())
            with Daemon("--model", model):
                cached = subprocess.run(
                    ["fincore", "--bytes", "--noheadings", "--output", "RES",
                     model], check=True, capture_output=True, text=True)
        self.assertEqual(int(cached.stdout), 0)

    def test_isa_can_be_forced(self):
        with Daemon(MLAD_ISA="scalar") as daemon:
            self.assertEqual(daemon.ctl_json("topology")["isa"], "scalar")
        result = run_mlad("serve", MLAD_ISA="mmx")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("mmx", result.stderr)
        self.assertIn("avx2", result.stderr)


if __name__ == "__main__":
    unittest.main()
