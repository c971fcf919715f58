#!/usr/bin/env python3
"""A gRPC client that is not mlad's own: it knows no proto file, learns the
services through server reflection, and streams a generation.

    foreign_client_test.py                  against a daemon on the demo model
    foreign_client_test.py ADDRESS          against a server that runs there
    foreign_client_test.py --server PROGRAM against PROGRAM, which prints
                                            "listening on ADDRESS" and ends with
                                            its input

Needs Debian's python3-grpcio and python3-protobuf. Exit status 0: all is well.
"""

import argparse
import subprocess
import time
import unittest

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from daemon import Daemon

REFLECTION = "grpc.reflection.v1alpha.ServerReflection"
PROMPT = "Once upon a time"


def message_class(pool, name):
    descriptor = pool.FindMessageTypeByName(name)
    if hasattr(message_factory, "GetMessageClass"):  # protobuf 4.22 and later
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


def reflection_pool():
    """The part of grpc/reflection/v1alpha/reflection.proto that is used here."""
    field_proto = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="reflection.proto", package="grpc.reflection.v1alpha",
        syntax="proto3")

    def add(message, fields):
        proto = file.message_type.add(name=message)
        for number, name, kind, repeated in fields:
            field = proto.field.add(name=name, number=number)
            field.label = (field_proto.LABEL_REPEATED if repeated
                           else field_proto.LABEL_OPTIONAL)
            if isinstance(kind, str):
                field.type = field_proto.TYPE_MESSAGE
                field.type_name = ".grpc.reflection.v1alpha." + kind
            else:
                field.type = kind

    text, data = field_proto.TYPE_STRING, field_proto.TYPE_BYTES
    add("ServerReflectionRequest", [
        (3, "file_by_filename", text, False),
        (4, "file_containing_symbol", text, False),
        (7, "list_services", text, False)])
    add("FileDescriptorResponse", [(1, "file_descriptor_proto", data, True)])
    add("ServiceResponse", [(1, "name", text, False)])
    add("ListServiceResponse", [(1, "service", "ServiceResponse", True)])
    add("ErrorResponse", [
        (1, "error_code", field_proto.TYPE_INT32, False),
        (2, "error_message", text, False)])
    add("ServerReflectionResponse", [
        (4, "file_descriptor_response", "FileDescriptorResponse", False),
        (6, "list_services_response", "ListServiceResponse", False),
        (7, "error_response", "ErrorResponse", False)])
    # Proto3 does not send an empty text, but an empty member of a oneof; the
    # server tells the kinds of request apart by what was sent.
    proto = file.message_type[0]
    proto.oneof_decl.add(name="message_request")
    for field in proto.field:
        field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


class ReflectedServer:
    """Calls any method of a server, given only its address."""

    def __init__(self, channel):
        self.channel = channel
        self.pool = descriptor_pool.DescriptorPool()
        self.files = {}
        pool = reflection_pool()
        package = "grpc.reflection.v1alpha."
        self.request_class = message_class(
            pool, package + "ServerReflectionRequest")
        self.reflect = channel.stream_stream(
            f"/{REFLECTION}/ServerReflectionInfo",
            request_serializer=self.request_class.SerializeToString,
            response_deserializer=message_class(
                pool, package + "ServerReflectionResponse").FromString)

    def ask(self, **request):
        response = next(self.reflect(iter([self.request_class(**request)]),
                                     timeout=20))
        if response.HasField("error_response"):
            raise LookupError(response.error_response.error_message)
        return response

    def services(self):
        response = self.ask(list_services="")
        return {s.name for s in response.list_services_response.service}

    def learn(self, **request):
        """Adds a file and all that it imports to the pool."""
        response = self.ask(**request).file_descriptor_response
        for data in response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(data)
            if file.name in self.files:
                continue
            self.files[file.name] = file
            for dependency in file.dependency:
                if dependency not in self.files:
                    self.learn(file_by_filename=dependency)
            self.pool.Add(file)

    def method(self, service, name):
        """(callable, request class)"""
        self.learn(file_containing_symbol=service)
        for file in self.files.values():
            for candidate in file.service:
                if f"{file.package}.{candidate.name}" != service:
                    continue
                for method in candidate.method:
                    if method.name == name:
                        return self._callable(service, method)
        raise LookupError(f"{service} has no method {name}")

    def _callable(self, service, method):
        request = message_class(self.pool, method.input_type.lstrip("."))
        response = message_class(self.pool, method.output_type.lstrip("."))
        kind = (self.channel.unary_stream if method.server_streaming
                else self.channel.unary_unary)
        call = kind(f"/{service}/{method.name}",
                    request_serializer=request.SerializeToString,
                    response_deserializer=response.FromString)
        return call, request


class ForeignClientTest(unittest.TestCase):
    address = None

    @classmethod
    def setUpClass(cls):
        cls.channel = grpc.insecure_channel(cls.address)
        grpc.channel_ready_future(cls.channel).result(timeout=60)
        cls.server = ReflectedServer(cls.channel)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()

    def call(self, service, name, /, timeout=60, **fields):
        call, request = self.server.method(service, name)
        return call(request(**fields), timeout=timeout)

    def generate(self, **options):
        return self.call("mlad.v1.Inference", "Generate", timeout=300,
                         text=PROMPT, options=options)

    def test_reflection_lists_all_services(self):
        self.assertLessEqual(
            {"mlad.v1.Inference", "mlad.v1.Admin", "grpc.health.v1.Health",
             REFLECTION}, self.server.services())

    def test_health_is_serving(self):
        for service in ("", "mlad.v1.Inference"):
            response = self.call("grpc.health.v1.Health", "Check",
                                 service=service)
            self.assertEqual(response.status, 1)  # SERVING

    def test_streams_a_generation(self):
        kinds, text, ids, finish = [], "", [], None
        for response in self.generate(max_tokens=16, ignore_eos=True):
            kinds.append(response.WhichOneof("event"))
            if kinds[-1] == "token":
                ids.append(response.token.id)
                text += response.token.text
            elif kinds[-1] == "finish":
                finish = response.finish
                text += finish.text
        tokens = kinds.count("token")
        progress = kinds.count("prompt_progress")
        self.assertEqual(kinds, ["prompt_progress"] * progress +
                         ["token"] * tokens + ["finish"])
        self.assertEqual(tokens, 16)
        self.assertEqual(finish.reason, 4)  # MAX_TOKENS
        self.assertEqual(finish.usage.completion_tokens, 16)
        self.assertGreater(finish.usage.prompt_tokens, 0)
        self.assertTrue(text)
        spelled = self.call("mlad.v1.Inference", "Detokenize", ids=ids)
        self.assertEqual(spelled.text, text)

    def test_the_same_seed_gives_the_same_text(self):
        def answer():
            return "".join(
                r.token.text + r.finish.text for r in self.generate(
                    max_tokens=12, sampling={"seed": 7, "temperature": 1.0}))
        self.assertEqual(answer(), answer())

    def test_a_deadline_ends_the_work(self):
        with self.assertRaises(grpc.RpcError) as raised:
            list(self.call("mlad.v1.Inference", "Generate", timeout=0.02,
                           text=PROMPT, options={"ignore_eos": True}))
        self.assertEqual(raised.exception.code(),
                         grpc.StatusCode.DEADLINE_EXCEEDED)
        deadline = time.monotonic() + 30
        while self.call("mlad.v1.Admin", "GetStats").engine.running > 0:
            self.assertLess(time.monotonic(), deadline)

    def test_cancel_ends_the_stream(self):
        stream = self.generate(ignore_eos=True)
        next(stream)
        stream.cancel()
        with self.assertRaises(grpc.RpcError) as raised:
            for _ in stream:
                pass
        self.assertEqual(raised.exception.code(), grpc.StatusCode.CANCELLED)

    def test_tokenize_and_back(self):
        text = "Grüße, 世界! 👋"
        ids = self.call("mlad.v1.Inference", "Tokenize", text=text,
                        add_bos=False).ids
        self.assertGreater(len(ids), 0)
        response = self.call("mlad.v1.Inference", "Detokenize", ids=ids)
        self.assertEqual(response.text, text)

    def test_statistics_name_the_nodes(self):
        stats = self.call("mlad.v1.Admin", "GetStats")
        self.assertEqual(stats.state, 2)  # SERVING
        self.assertGreaterEqual(len(stats.nodes), 1)
        info = self.call("mlad.v1.Admin", "GetModelInfo")
        self.assertGreater(info.vocab_size, 0)

    def test_a_value_out_of_range_is_named(self):
        with self.assertRaises(grpc.RpcError) as raised:
            list(self.generate(sampling={"temperature": 200.0}))
        self.assertEqual(raised.exception.code(),
                         grpc.StatusCode.INVALID_ARGUMENT)
        self.assertIn("options.sampling.temperature is 200",
                      raised.exception.details())

    def test_text_that_is_not_utf8_is_refused(self):
        call = self.channel.unary_stream("/mlad.v1.Inference/Generate")
        with self.assertRaises(grpc.RpcError) as raised:
            list(call(b"\x0a\x02a\xff", timeout=20))
        self.assertEqual(raised.exception.code(),
                         grpc.StatusCode.INVALID_ARGUMENT)
        self.assertIn("text is not valid UTF-8", raised.exception.details())


class ForeignClientOfAModelTest(ForeignClientTest):
    """What only a server with a model behind it can answer."""

    def test_each_option_reaches_the_sampler(self):
        def ids(sampling, **options):
            return [r.token.id for r in self.generate(
                max_tokens=24, ignore_eos=True,
                sampling={"seed": 3, **sampling}, **options)
                if r.WhichOneof("event") == "token"]
        greedy = ids({"greedy": True})
        for only in ({"temperature": 0.0}, {"top_k": 1}, {"top_p": 1e-6},
                     {"min_p": 0.9999}):
            with self.subTest(only):
                self.assertEqual(ids(only), greedy)
        self.assertNotEqual(ids({"temperature": 1.5}), greedy)
        for penalty in ("repetition_penalty", "frequency_penalty",
                        "presence_penalty"):
            with self.subTest(penalty):
                self.assertNotEqual(ids({"greedy": True, penalty: 2.0}), greedy)
        stopped = ids({"greedy": True}, stop_token_ids=[greedy[5]])
        self.assertEqual(stopped, greedy[:greedy.index(greedy[5]) + 1])

    def test_logprobs_and_scores_agree(self):
        answer = [r.token for r in self.generate(
            max_tokens=8, logprobs=3, sampling={"greedy": True})
            if r.WhichOneof("event") == "token"]
        for token in answer:
            self.assertEqual(len(token.alternatives), 3)
            self.assertEqual(token.alternatives[0].id, token.id)
        prompt = self.call("mlad.v1.Inference", "Tokenize", text=PROMPT).ids
        ids = [*prompt, *(token.id for token in answer)]
        scores = self.call("mlad.v1.Inference", "Score",
                           tokens={"ids": ids}).scores
        for token, score in zip(answer, scores[len(prompt) - 1:]):
            self.assertEqual(score.id, token.id)
            self.assertAlmostEqual(score.logprob, token.logprob, delta=0.02)


def run_tests(address, case):
    ForeignClientTest.address = address
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(case)
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    return 0 if result.wasSuccessful() else 1


def run_against_program(program):
    with subprocess.Popen([program], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as server:
        try:
            line = server.stdout.readline()
            prefix = "listening on "
            if not line.startswith(prefix):
                print(f"{program} printed {line!r}, no address")
                return 1
            status = run_tests(line[len(prefix):].strip(), ForeignClientTest)
        finally:
            server.stdin.close()
        return status if server.wait(timeout=60) == 0 else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    target = parser.add_mutually_exclusive_group()
    target.add_argument("address", nargs="?", metavar="ADDRESS")
    target.add_argument("--server", metavar="PROGRAM")
    arguments = parser.parse_args()
    if arguments.address is not None:
        return run_tests(arguments.address, ForeignClientOfAModelTest)
    if arguments.server is not None:
        return run_against_program(arguments.server)
    with Daemon() as daemon:
        return run_tests(daemon.tcp_address(), ForeignClientOfAModelTest)


if __name__ == "__main__":
    raise SystemExit(main())
