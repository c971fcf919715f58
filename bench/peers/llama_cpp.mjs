// Times a prebuilt llama.cpp:
//   node llama_cpp.mjs FOLDER < job.json
// FOLDER holds node_modules/node-llama-cpp. The job:
//   {"model": PATH, "threads": N, "kv": "F16", "reps": R, "tests": [
//     {"name", "kind": "pp"|"tg", "tokens", "depth"},
//     {"name", "kind": "streams", "tokens", "depth", "streams"}]}
// Prints {"version": TEXT, "tests": {NAME: [tokens/s, ...]}}. Generation samples greedily, whose cost is part of it.
// "streams" generate at once, each behind a prompt of its own of `depth` tokens: its tokens/s are those of all together
// while all of them generate.
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
const maxStreams = Math.max(...job.tests.map((test) => test.streams ?? 1));
const context = await model.createContext({
  sequences: maxStreams,
  contextSize: Math.max(...job.tests.map((test) => test.depth + test.tokens)) + 8,
  batchSize: 512, flashAttention: true, threads: {ideal: job.threads, min: job.threads},
  experimentalKvCacheKeyType: job.kv, experimentalKvCacheValueType: job.kv});
const sequences = Array.from({length: maxStreams}, () => context.getSequence());
const [sequence] = sequences;

// Ids all over the vocabulary, short of the control tokens at its end.
const vocabulary = [...model.iterateAllTokens()].length;
const idAt = (position) => Number((BigInt(position) * 7919n * 2654435761n >> 20n) % BigInt(vocabulary - 16));
const ids = (begin, end) => Array.from({length: end - begin}, (_, i) => idAt(begin + i));

const withLogits = {generateNext: {token: true, options: {temperature: 0}}};
const evaluate = (sequence, tokens) => sequence.controlledEvaluate(
  tokens.map((id, i) => (i === tokens.length - 1 ? [id, withLogits] : id)));

// Each returns tokens/s.

async function prompt(test) {
  await sequence.clearHistory();
  const begin = performance.now();
  await evaluate(sequence, ids(0, test.tokens));
  return 1000 * test.tokens / (performance.now() - begin);
}

async function generate(test) {
  await sequence.eraseContextTokenRanges([{start: test.depth, end: sequence.nextTokenIndex}]);
  const begin = performance.now();
  for (let i = 0; i < test.tokens; i++) await evaluate(sequence, [idAt(test.depth + i)]);
  return 1000 * test.tokens / (performance.now() - begin);
}

async function generateTogether(test) {
  const times = await Promise.all(sequences.slice(0, test.streams).map(async (sequence, stream) => {
    const first = stream * (test.depth + test.tokens);
    await sequence.clearHistory();
    await evaluate(sequence, ids(first, first + test.depth));
    const ends = [performance.now()];
    for (let i = 0; i < test.tokens; i++) {
      await evaluate(sequence, [idAt(first + test.depth + i)]);
      ends.push(performance.now());
    }
    return ends;
  }));
  const begin = Math.max(...times.map((ends) => ends[0]));
  const end = Math.min(...times.map((ends) => ends.at(-1)));
  return 1000 * times.flat().filter((time) => begin < time && time <= end).length / (end - begin);
}

const kinds = {pp: {run: prompt, warmUpTokens: 32}, tg: {run: generate, warmUpTokens: 2},
               streams: {run: generateTogether, warmUpTokens: 8}};
const results = {};
for (const test of job.tests) {
  const {run, warmUpTokens} = kinds[test.kind];
  await sequence.clearHistory();
  if (test.kind === "tg" && test.depth > 0) {
    await sequence.evaluateWithoutGeneratingNewTokens(ids(0, test.depth));
  }
  await run({...test, tokens: Math.min(test.tokens, warmUpTokens)});
  results[test.name] = [];
  for (let r = 0; r < job.reps; r++) results[test.name].push(await run(test));
}
console.log(JSON.stringify({version, tests: results}));
process.exit(0);
