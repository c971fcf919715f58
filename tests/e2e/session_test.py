"""Sessions outlive the daemon and fit another number of nodes."""

import json
import pathlib
import tempfile
import unittest

from daemon import Daemon

PROMPT = [0] + [200 + i % 700 for i in range(599)]


class SessionTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def start(self, *arguments):
        daemon = Daemon("--session-dir", self.folder / "sessions",
                        "--threads-per-node", "1", *arguments)
        self.addCleanup(daemon.stop)
        daemon.wait_until_serving()
        return daemon

    def answer(self, daemon, tokens, count=24):
        return daemon.ctl_json("generate", "--tokens",
                               ",".join(map(str, tokens)), "--greedy",
                               "--ignore-eos", "-n", count)

    def save(self, daemon, name, tokens):
        return daemon.ctl_json("session", "save", name, "--tokens",
                               ",".join(map(str, tokens)))

    def test_a_conversation_goes_on_after_a_restart_with_other_nodes(self):
        for kv in ("q8_kv", "f16"):
            with self.subTest(kv):
                daemon = self.start("--nodes", "1", "--kv", kv)
                first = self.answer(daemon, PROMPT)
                turn = PROMPT + first["token_ids"] + [300, 301, 302]
                wanted = self.answer(daemon, turn)
                cached = wanted["usage"]["cached_tokens"]
                self.assertGreaterEqual(cached, 600)
                saved = self.save(daemon, "talk", turn)
                self.assertEqual(saved["tokens"], len(turn) // 32 * 32)
                self.assertEqual(daemon.stop(), 0)
                for nodes in (2, 4):
                    daemon = self.start("--nodes", nodes, "--kv", kv)
                    listed = daemon.ctl_json("session", "list")["sessions"]
                    self.assertEqual([s["name"] for s in listed], ["talk"])
                    self.assertEqual(listed[0]["problem"], "")
                    restored = daemon.ctl_json("session", "restore", "talk")
                    self.assertEqual(restored["tokens"], saved["tokens"])
                    again = self.answer(daemon, turn)
                    self.assertGreaterEqual(again["usage"]["cached_tokens"],
                                            cached)
                    self.assertEqual(again["token_ids"], wanted["token_ids"])
                    self.assertEqual(daemon.stop(), 0)

    def test_what_is_wrong_is_said(self):
        daemon = self.start("--nodes", "1", "--kv", "q8_kv")
        self.answer(daemon, PROMPT)
        self.save(daemon, "talk", PROMPT)
        cases = [
            (("restore", "other"), 2, "other"),
            (("restore", "../talk"), 2, "letters"),
            (("drop",), 2, "needs the session's name"),
            (("save", "x", "--tokens", "5,6,7"), 1, "no complete page"),
            (("forget", "talk"), 2, "forget"),
        ]
        for arguments, status, words in cases:
            with self.subTest(arguments):
                result = daemon.ctl("session", *arguments)
                self.assertEqual(result.returncode, status, result.stderr)
                self.assertIn(words, result.stderr)
        file, = (self.folder / "sessions").iterdir()
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        result = daemon.ctl("session", "restore", "talk")
        self.assertEqual(result.returncode, 1)
        self.assertIn("damaged", result.stderr)
        self.assertIn("saved", daemon.ctl("session", "list").stdout)
        self.assertEqual(daemon.stop(), 0)
        # The file is as it was, the cache is another.
        content[-1] ^= 1
        file.write_bytes(content)
        daemon = self.start("--nodes", "1", "--kv", "f16")
        result = daemon.ctl("session", "restore", "talk")
        self.assertEqual(result.returncode, 1)
        self.assertIn("q8_kv; this daemon has f16", result.stderr)
        self.assertIn("q8_kv", daemon.ctl("session", "list").stdout)
        self.assertEqual(daemon.ctl("session", "drop", "talk").returncode, 0)
        self.assertIn("no sessions", daemon.ctl("session", "list").stdout)

    def test_a_chat_is_saved_from_a_file(self):
        daemon = self.start("--nodes", "1", "--kv", "q8_kv")
        talk = [{"role": "user", "content": "Tell me of the sea. " * 40},
                {"role": "assistant", "content": "It is wide."},
                {"role": "user", "content": "And deep?"}]
        path = self.folder / "talk.json"
        path.write_text(json.dumps(talk), encoding="utf-8")
        result = daemon.ctl("session", "save", "sea", "--messages", path)
        # The demo model may have no template; then it says so.
        if "no chat template" in result.stderr:
            self.assertEqual(result.returncode, 2)
            return
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("no complete page", result.stderr)
        daemon.ctl("chat", talk[0]["content"], "-n", 4)
        saved = daemon.ctl_json("session", "save", "sea", "--messages", path)
        self.assertGreaterEqual(saved["tokens"], 32)

    def test_without_a_folder_there_are_none(self):
        with Daemon() as daemon:
            result = daemon.ctl("session", "list")
        self.assertEqual(result.returncode, 1)
        self.assertIn("--session-dir", result.stderr)


if __name__ == "__main__":
    unittest.main()
