"""What a grammar or a JSON Schema promises, on a model that knows neither: the
demo model. python3-jsonschema is the judge."""

import json
import pathlib
import re
import tempfile
import unittest

import jsonschema

from daemon import Daemon

SCHEMAS = {
    "object": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 2, "maxLength": 12},
            "year": {"type": "integer", "minimum": 1800, "maximum": 2024},
            "share": {"type": "number", "minimum": 0, "maximum": 1},
            "kind": {"enum": ["whale", "ship", None, 7]},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 6},
                     "minItems": 1, "maxItems": 3}},
        "required": ["name", "kind", "tags"], "additionalProperties": False},
    "references": {
        "$defs": {"node": {
            "type": "object", "required": ["value"],
            "properties": {"value": {"type": "boolean"},
                           "next": {"anyOf": [{"$ref": "#/$defs/node"},
                                              {"type": "null"}]}},
            "additionalProperties": False}},
        "$ref": "#/$defs/node"},
    "tuple": {"type": "array", "minItems": 2, "maxItems": 3,
              "prefixItems": [{"const": "a"}, {"type": ["integer", "null"]}],
              "items": {"type": "boolean"}},
    "others": {"properties": {"a": {"type": "null"}}, "required": ["a"],
               "additionalProperties": {"type": "integer", "maximum": 9}},
}


class FormatsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon("--nodes", "1", "--threads-per-node", "1")
        cls.daemon.wait_until_serving()
        cls.folder = tempfile.TemporaryDirectory()

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()
        assert cls.daemon.stop() == 0

    def file(self, text):
        path = pathlib.Path(self.folder.name) / "format"
        path.write_text(text, encoding="utf-8")
        return path

    def generate(self, *options, seed):
        return self.daemon.ctl_json("generate", "In the beginning", "--seed", seed,
                                    "--temperature", 1.5, "-n", 300, *options)

    def test_schemas(self):
        complete = 0
        for name, schema in SCHEMAS.items():
            path = self.file(json.dumps(schema))
            for seed in range(1, 7):
                answer = self.generate("--json-schema", path, seed=seed)
                if answer["finish_reason"] == "max_tokens":
                    continue  # nested without end
                self.assertEqual(answer["finish_reason"], "eos", name)
                complete += 1
                with self.subTest(schema=name, text=answer["text"]):
                    jsonschema.validate(json.loads(answer["text"]), schema)
        self.assertGreater(complete, 16)

    def test_json_mode(self):
        for seed in range(1, 6):
            answer = self.generate("--json-mode", seed=seed)
            if answer["finish_reason"] == "eos":
                self.assertIsInstance(json.loads(answer["text"]), dict)
            else:
                self.assertTrue(answer["text"].lstrip().startswith("{"))

    def test_a_grammar_and_a_seed(self):
        path = self.file('root ::= date (", " date){2}\n'
                         'date ::= [0-9]{4} "-" ("0" [1-9] | "1" [0-2])')
        for seed in (1, 2):
            answer = self.generate("--grammar", path, seed=seed)
            self.assertTrue(re.fullmatch(r"\d{4}-\d\d(, \d{4}-\d\d){2}",
                                         answer["text"]), answer["text"])
            again = self.generate("--grammar", path, seed=seed)
            self.assertEqual(again["token_ids"], answer["token_ids"])

    def test_samples_share_a_prompt_and_equal_solo_runs(self):
        prompt = "In the beginning was the whale, and " * 40
        arguments = ("generate", prompt, "--temperature", 1.2, "-n", 24)
        lines = self.daemon.ctl(*arguments, "--seed", 5, "--samples", 4,
                                "--json").stdout.splitlines()
        samples = [json.loads(line) for line in lines]
        self.assertEqual([sample["seed"] for sample in samples], [5, 6, 7, 8])
        self.assertGreater(len({sample["text"] for sample in samples}), 1)
        for sample in samples[1:]:
            usage = sample["usage"]
            self.assertEqual(usage["inexact_tokens"], 0)
            # All but the last pages, which must be complete to be shared.
            self.assertGreaterEqual(usage["cached_tokens"],
                                    usage["prompt_tokens"] - 64)
        for sample in samples:
            alone = self.daemon.ctl_json(*arguments, "--seed", sample["seed"])
            self.assertEqual(alone["token_ids"], sample["token_ids"])

    def test_wrong_ones_are_refused(self):
        for flag, text, words in (
                ("--grammar", "root ::= (", "Line 1"),
                ("--json-schema", '{"pattern": "x"}', "'pattern'"),
                ("--json-schema", "{", "not valid JSON")):
            result = self.daemon.ctl("generate", "x", flag, self.file(text))
            self.assertEqual(result.returncode, 2)
            self.assertIn(words, result.stderr)

    def test_bias_bans_and_forces(self):
        free = self.daemon.ctl_json("generate", "Call me", "--greedy", "-n", 1)
        banned = free["token_ids"][0]
        other = self.daemon.ctl_json("generate", "Call me", "--greedy", "-n", 1,
                                     "--logit-bias", f"{banned}=-100")
        self.assertNotEqual(other["token_ids"][0], banned)
        forced = self.daemon.ctl_json("generate", "Call me", "--greedy", "-n", 1,
                                      "--logit-bias", "300=100")
        self.assertEqual(forced["token_ids"], [300])

    def test_echo_and_log_probabilities_of_the_prompt(self):
        text = "And God said, Let there be light: and there was light."
        answer = self.daemon.ctl_json("generate", text, "--greedy", "-n", 2,
                                      "--echo", "--prompt-logprobs", 2)
        score = self.daemon.ctl_json("score", text, "--top", 2)
        self.assertEqual(answer["prompt"]["text"], text)
        self.assertEqual(answer["prompt_logprobs"], score["scores"])
        self.assertEqual(answer["prompt"]["token_ids"][0], score["first_id"])
        shown = self.daemon.ctl("generate", text, "--greedy", "-n", 2, "--echo")
        self.assertEqual(shown.stdout, text + answer["text"] + "\n")


if __name__ == "__main__":
    unittest.main()
