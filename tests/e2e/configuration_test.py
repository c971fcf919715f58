"""Configuration: files, environment and flags, mlad check-config, and that every
setting is documented."""

import json
import pathlib
import re
import tempfile
import unittest

from daemon import DEMO_MODEL, TOP, Daemon, run_mlad

TEMPLATE = TOP / "deploy/mlad.toml"
PAGE = TOP / "docs/configuration.md"


def check_config(*arguments, **environment):
    return run_mlad("check-config", *arguments, **environment)


def settings(*arguments, **environment):
    """Of a configuration that is right: key -> (value, origin)."""
    result = check_config(*arguments, "--json", **environment)
    if result.returncode != 0:
        raise AssertionError(result.stderr)
    return {setting["key"]: (setting["value"], setting["origin"])
            for setting in json.loads(result.stdout)["settings"]}


class ConfigurationTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name, "mlad.toml")

    def write(self, text):
        self.path.write_text(text, encoding="utf-8")
        return self.path

    def test_precedence(self):
        self.write(f'model = "{DEMO_MODEL}"\nkv = "q8_0"\nnodes = 1\n'
                   'max_queued = 9\n')
        found = settings(self.path, "--nodes", "2", MLAD_KV="q6_0",
                         MLAD_NODES="4")
        self.assertEqual(found["nodes"], ("2", "command line"))
        self.assertEqual(found["kv"], ("q6_0", "MLAD_KV"))
        self.assertEqual(found["max_queued"], ("9", f"{self.path}:4"))
        self.assertEqual(found["drain_s"], ("30", "default"))
        text = check_config(self.path).stdout
        self.assertRegex(text, r"(?m)^kv +q8_0 +\(.*mlad\.toml:2\)$")
        self.assertIn(f"{self.path}: ok", text)

    def test_serve_obeys_the_environment(self):
        with Daemon(MLAD_CONTEXT="512", MLAD_KV="q6_0") as daemon:
            model = daemon.ctl_json("topology")["model"]
        self.assertEqual((model["context_tokens"], model["kv_type"]),
                         (512, "q6_0"))

    def test_one_file_serves_plan_and_doctor(self):
        self.write('context = 512\nkv = "q8_0"\nmax_queued = 9\n')
        plan = run_mlad("plan", "--config", self.path, "--json")
        self.assertEqual(plan.returncode, 0, plan.stderr)
        default = json.loads(run_mlad("plan", "--json").stdout)
        self.assertLess(json.loads(plan.stdout)["kv_bytes_capacity"],
                        default["kv_bytes_capacity"])
        doctor = run_mlad("doctor", "--config", self.path)
        self.assertEqual(doctor.returncode, 0, doctor.stderr)

    def test_mistakes_are_found_without_serving(self):
        cases = [
            ("contxt = 1\n", "mlad.toml:1: there is no setting 'contxt'; did "
                             "you mean 'context'?"),
            ('listen = ["nonsense:port:x"]\n', "nonsense:port:x"),
            ('kv = "q3_7"\n', "q3_7"),
            ('model = "/nonexistent.gguf"\n', "/nonexistent.gguf"),
            ("replicate_experts = 2\n", "moe-placement"),
        ]
        for text, words in cases:
            with self.subTest(text):
                result = check_config(self.write(text))
                self.assertNotEqual(result.returncode, 0)
                self.assertEqual(result.stderr.count("mlad: "), 1)
                self.assertIn(words, result.stderr)
                self.assertEqual(result.stdout, "")
        result = check_config(MLAD_NODES="many")
        self.assertEqual(result.returncode, 2)
        self.assertIn("MLAD_NODES", result.stderr)

    def test_the_file_that_is_installed_names_every_setting(self):
        text = TEMPLATE.read_text(encoding="utf-8")
        self.assertEqual(check_config(TEMPLATE).returncode, 0)
        keys = re.findall(r"(?m)^#? ?([a-z_]+) = ", text)
        self.assertEqual(sorted(keys), sorted(settings()))

    def test_the_examples_in_it_are_read(self):
        text = TEMPLATE.read_text(encoding="utf-8")
        for key, value in re.findall(r"(?m)^#? ?([a-z_]+) = (.*)$", text):
            with self.subTest(key):
                result = check_config(self.write(f"{key} = {value}\n"))
                # Files that it names need not be here.
                self.assertNotIn("mlad.toml:1", result.stderr)
                self.assertNotIn(f"--{key.replace('_', '-')}:", result.stderr)

    def test_every_setting_is_documented(self):
        page = PAGE.read_text(encoding="utf-8")
        documented = re.findall(r"(?m)^\| `([a-z_]+)` \|", page)
        self.assertEqual(sorted(documented), sorted(settings()))


if __name__ == "__main__":
    unittest.main()
