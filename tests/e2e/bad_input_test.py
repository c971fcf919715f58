"""What mlad says about files, flags and topologies that are wrong: one sentence
that names the thing, an exit status, never a crash."""

import pathlib
import struct
import tempfile
import unittest

from daemon import DEMO_MODEL, run_mlad


class BadInputTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.model = DEMO_MODEL.read_bytes()

    def write(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path

    def assert_refused(self, result, *words):
        self.assertIn(result.returncode, (1, 2), result.stderr)
        lines = [line for line in result.stderr.splitlines()
                 if line.startswith("mlad: ")]
        self.assertEqual(len(lines), 1, result.stderr)
        for word in words:
            self.assertIn(word, lines[0])

    def refuse_model(self, path, *words):
        for command in ("serve", "plan"):
            with self.subTest(command):
                listen = ["--listen", f"unix:{self.folder}/s"]
                self.assert_refused(
                    run_mlad(command, "--model", path,
                             *(listen if command == "serve" else [])), *words)

    def test_no_such_file(self):
        self.refuse_model("/nonexistent.gguf", "/nonexistent.gguf")

    def test_folder_and_empty_file(self):
        self.refuse_model(self.folder, "folder")
        self.refuse_model(self.write("empty.gguf", b""), "empty.gguf", "empty")

    def test_not_a_gguf_file(self):
        self.refuse_model(self.write("text.gguf", b"once upon a time " * 99),
                          "GGUF")

    def test_truncated_in_header_and_in_data(self):
        self.refuse_model(self.write("header.gguf", self.model[:5000]))
        result = run_mlad(
            "serve", "--listen", f"unix:{self.folder}/s", "--model",
            self.write("data.gguf", self.model[:-100000]))
        self.assert_refused(result, "data")

    def test_hostile_counts(self):
        for name, at in (("tensors", 8), ("metadata", 16)):
            data = bytearray(self.model)
            struct.pack_into("<Q", data, at, 2**60)
            self.refuse_model(self.write(f"{name}.gguf", bytes(data)))

    def test_future_version(self):
        data = bytearray(self.model)
        struct.pack_into("<I", data, 4, 99)
        self.refuse_model(self.write("v99.gguf", bytes(data)), "99")

    def test_other_architecture(self):
        data = self.model.replace(b"deepseek2", b"llamaseek", 1)
        self.refuse_model(self.write("other.gguf", data), "llamaseek")

    def test_unknown_tensor_type(self):
        name = b"blk.0.ffn_up.weight"
        at = self.model.index(name) + len(name) + 4 + 2 * 8
        data = bytearray(self.model)
        struct.pack_into("<I", data, at, 12345)
        self.refuse_model(self.write("type.gguf", bytes(data)), "12345")

    def test_flags(self):
        listen = ("--listen", f"unix:{self.folder}/s")
        cases = [
            (("--kv", "q3_7"), ("q3_7", "q8_kv")),
            (("--frobnicate", "1"), ("frobnicate",)),
            (("--nodes", "1000"), ("1000",)),
            (("--threads-per-node", "9999"), ("9999",)),
            (("--context", "-5"), ("context", "1 or more")),
            (("--context", "0"), ("context", "1 or more")),
            (("--context", "100000000000"), ()),
            (("--listen", "nonsense:port:x"), ("nonsense:port:x",)),
            (("--config", "/nonexistent.toml"), ("/nonexistent.toml",)),
        ]
        for flags, words in cases:
            with self.subTest(flags):
                self.assert_refused(run_mlad("serve", *listen, *flags), *words)

    def test_unknown_command(self):
        self.assert_refused(run_mlad("frobnicate"), "no command 'frobnicate'")

    def test_configuration_file(self):
        cases = [
            (b"frobnicate = 1\n", ("frobnicate", "bad.toml:1")),
            (b'\nkv = "q3_7"\n', ("q3_7",)),
            (b"context = \n", ("bad.toml:1",)),
            (b'nodes = "many"\n', ("nodes",)),
            (b"[kv]\ntype = 3\n", ("kv",)),
        ]
        for text, words in cases:
            with self.subTest(text):
                path = self.write("bad.toml", text)
                self.assert_refused(
                    run_mlad("serve", "--listen", f"unix:{self.folder}/s",
                             "--config", path), *words)

    def test_topologies(self):
        for topology in ("pack:", "nonsense", "/nonexistent.xml",
                         "pack:1000000 core:1000000"):
            with self.subTest(topology):
                self.assert_refused(run_mlad("plan", "--topology", topology))

    def test_plan_that_does_not_fit(self):
        result = run_mlad(
            "plan", "--topology", "pack:2 [numa(memory=16777216)] core:4 pu:1")
        self.assert_refused(result, "node", "MiB")


if __name__ == "__main__":
    unittest.main()
