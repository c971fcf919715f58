"""mla-synth: presets, types, seeds, flat memory; mla-bench runs its files."""

import hashlib
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("MLAD_BIN", TOP / "build/release/bin"))
TYPES = ("f32 f16 bf16 q8_0 q4_0 q4_1 q5_0 q5_1 q2_k q3_k q4_k q5_k q6_k "
         "iq4_nl iq4_xs").split()


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class MlaSynthTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def synth(self, *arguments, name="model.gguf", check=True):
        path = pathlib.Path(self.folder.name) / name
        result = subprocess.run(
            [BIN / "mla-synth", *map(str, arguments), "-o", path],
            capture_output=True, text=True, check=False)
        if check:
            self.assertEqual(result.returncode, 0, result.stderr)
            return path
        return result

    def test_a_seed_says_every_byte(self):
        small = ("--preset", "v3mini", "--layers", 2, "--type", "q4_0")
        first = digest(self.synth(*small, "--seed", 7, name="a.gguf"))
        self.assertEqual(first,
                         digest(self.synth(*small, "--seed", 7, name="b.gguf")))
        self.assertNotEqual(
            first, digest(self.synth(*small, "--seed", 8, name="c.gguf")))

    def test_every_type_runs(self):
        for name in TYPES:
            with self.subTest(name):
                path = self.synth("--preset", "v3mini", "--layers", 2, "--type",
                                  name)
                result = subprocess.run(
                    [BIN / "mla-bench", "--model", path, "--pp", "4", "--tg",
                     "2", "--reps", "1", "--json"],
                    capture_output=True, text=True, check=False)
                self.assertEqual(result.returncode, 0, result.stderr)
                report = json.loads(result.stdout)
                self.assertEqual(report["weight_type"].lower(), name)

    def test_presets_have_the_published_sizes(self):
        # Billions of weights, of which a file of 8.5 bits each is made.
        for preset, billions in (("lite", 15.7), ("v3", 671), ("kimi-k2", 1026)):
            with self.subTest(preset):
                path = self.synth("--preset", preset, "--type", "q8_0",
                                  "--no-weights")
                weights = path.stat().st_size * 8 / 8.5 / 1e9
                self.assertAlmostEqual(weights / billions, 1, delta=0.01)

    def test_memory_does_not_grow_with_the_file(self):
        path = pathlib.Path(self.folder.name) / "model.gguf"
        with subprocess.Popen(
                [BIN / "mla-synth", "--preset", "lite", "--layers", "2",
                 "--type", "q4_0", "-o", path],
                stdout=subprocess.DEVNULL) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0)
        self.assertGreater(path.stat().st_size, 500 << 20)
        self.assertLess(usage.ru_maxrss << 10, 100 << 20)

    def test_mistakes(self):
        result = self.synth("--preset", "v9", check=False)
        self.assertEqual(result.returncode, 2)
        self.assertIn("lite, v3mini, v3 or kimi-k2", result.stderr)
        result = self.synth("--type", "q9_9", check=False)
        self.assertEqual(result.returncode, 2)
        self.assertIn("q4_k", result.stderr)


if __name__ == "__main__":
    unittest.main()
