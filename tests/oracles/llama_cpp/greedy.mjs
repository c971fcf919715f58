// Greedy continuations by llama.cpp:
//   node greedy.mjs MODEL.gguf COUNT < prompts.json
// reads [[id, ...], ...] and prints [[[id, probability of it, of the second best], ...], ...].
import {readFileSync} from "node:fs";
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const [modelPath, count] = process.argv.slice(2);
const prompts = JSON.parse(readFileSync(0, "utf8"));
const llama = await getLlama({gpu: false, build: "never", progressLogs: false,
                              logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath});
const context = await model.createContext({contextSize: 512, flashAttention: false});
const sequence = context.getSequence();
const answers = [];
for (const prompt of prompts) {
  await sequence.clearHistory();
  const steps = [];
  let input = prompt;
  while (steps.length < Number(count)) {
    const last = input.length - 1;
    const options = {generateNext: {token: true, probabilities: true, options: {temperature: 0}}};
    const outputs = await sequence.controlledEvaluate(
      input.map((id, i) => (i === last ? [id, options] : id)));
    const next = outputs[last].next;
    const [best, second] = [...next.probabilities.values()];
    steps.push([next.token, best, second]);
    input = [next.token];
  }
  answers.push(steps);
}
console.log(JSON.stringify(answers));
process.exit(0);
