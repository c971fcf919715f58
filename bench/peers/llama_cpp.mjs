// Times a prebuilt llama.cpp:
//   node llama_cpp.mjs FOLDER < job.json
// FOLDER holds node_modules/node-llama-cpp. The job:
//   {"model": PATH, "threads": N, "kv": "F16", "reps": R, "tests": [{"name", "kind": "pp"|"tg", "tokens", "depth"}]}
// Prints {"version": TEXT, "tests": {NAME: [tokens/s, ...]}}. Generation samples greedily, whose cost is part of it.
import {readFileSync} from "node:fs";
import {join} from "node:path";
import {pathToFileURL} from "node:url";

const packageFolder = join(process.argv[2], "node_modules/node-llama-cpp");
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(join(packageFolder, "dist/index.js")));
const {version} = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8"));
const job = JSON.parse(readFileSync(0, "utf8"));

const llama = await getLlama({gpu: false, build: "never", progressLogs: false, maxThreads: job.threads,
                              logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath: job.model});
const context = await model.createContext({
  contextSize: Math.max(...job.tests.map((test) => test.depth + test.tokens)) + 8,
  batchSize: 512, flashAttention: true, threads: {ideal: job.threads, min: job.threads},
  experimentalKvCacheKeyType: job.kv, experimentalKvCacheValueType: job.kv});
const sequence = context.getSequence();

// Ids all over the vocabulary, short of the control tokens at its end.
const vocabulary = [...model.iterateAllTokens()].length;
const idAt = (position) => Number((BigInt(position) * 7919n * 2654435761n >> 20n) % BigInt(vocabulary - 16));
const ids = (begin, end) => Array.from({length: end - begin}, (_, i) => idAt(begin + i));

const withLogits = {generateNext: {token: true, options: {temperature: 0}}};
const evaluate = (tokens) => sequence.controlledEvaluate(
  tokens.map((id, i) => (i === tokens.length - 1 ? [id, withLogits] : id)));

async function prompt(test) {
  await sequence.clearHistory();
  const begin = performance.now();
  await evaluate(ids(0, test.tokens));
  return performance.now() - begin;
}

async function generate(test) {
  await sequence.eraseContextTokenRanges([{start: test.depth, end: sequence.nextTokenIndex}]);
  const begin = performance.now();
  for (let i = 0; i < test.tokens; i++) await evaluate([idAt(test.depth + i)]);
  return performance.now() - begin;
}

const results = {};
for (const test of job.tests) {
  await sequence.clearHistory();
  if (test.kind === "tg" && test.depth > 0) {
    await sequence.evaluateWithoutGeneratingNewTokens(ids(0, test.depth));
  }
  const run = test.kind === "pp" ? prompt : generate;
  await run({...test, tokens: Math.min(test.tokens, test.kind === "pp" ? 32 : 2)});  // warm-up
  results[test.name] = [];
  for (let r = 0; r < job.reps; r++) {
    results[test.name].push(1000 * test.tokens / await run(test));
  }
}
console.log(JSON.stringify({version, tests: results}));
process.exit(0);
