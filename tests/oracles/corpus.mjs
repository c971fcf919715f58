// The texts on which tokenizers are compared: valid ones, and ones that are not
// UTF-8.
import fs from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));

const root = path.resolve(here, '../..');

/** Random numbers that are the same in every run. */
export class Random {
  constructor(seed) { this.state = seed; }
  below(limit) {
    // xorshift32
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) % limit;
  }
  of(list) { return list[this.below(list.length)]; }
}

/** Files of the repository, in slices at arbitrary characters. */
function repositoryTexts(random) {
  const files = [
    'model/pre_tokenizer.cc', 'model/tokenizer.h', 'CMakeLists.txt',
    'tests/oracles/corpus.mjs', 'tests/run.sh', 'LICENSE',
    'deploy/demo/MODEL_CARD.md', 'deploy/demo/training/train.py',
    'rpc/proto/mlad/v1/inference.proto', 'tests/golden/chat/r1.jinja',
    'tests/golden/chat/conversations.json',
  ];
  const texts = [];
  for (const name of files) {
    const file = path.join(root, name);
    if (!fs.existsSync(file)) continue;
    const characters = [...fs.readFileSync(file, 'utf8')];
    texts.push(characters.join(''));
    for (let at = 0; at < characters.length;) {
      const length = 1 + random.below(400);
      texts.push(characters.slice(at, at + length).join(''));
      at += length;
    }
  }
  return texts;
}

const kSentences = [
  'The quick brown fox jumps over the lazy dog.',
  "I'm sure you'll say it's John's; don't you? WE'VE, THEY'RE, it\u2019s",
  '你好，世界。今天天气很好！我们去公园吧。㐀䶿𠀀龥龦鿿',
  'こんにちは、カタカナと漢字です。ー・゛ヿぁゟ゠',
  '안녕하세요 세계! ퟿ 한글ㄱㅏ',
  'مرحبا بالعالم، كيف حالك؟ ١٢٣٤ ـــ',
  'שלום עולם! \u202b123\u202c',
  'नमस्ते दुनिया ज़िंदगी क्ष',
  'สวัสดีชาวโลก ไทย ๑๒๓',
  'Привет, мир! Ещё раз. ЁЖ',
  'Ελληνικά: αβγ Ωμέγα ΐ ῂ ᾴ',
  'Việt Nam: Tiếng Việt e\u0323\u0302 ế',
  'e\u0301 a\u0300\u0316 n\u0303 Z\u0351\u036b\u0343a\u0310l\u034fgo',
  '👨‍👩‍👧‍👦 👍🏽 🇫🇷🇩🇪 ☺️ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 1️⃣ 🤷🏾‍♀️',
  '1234567890 12,345.67 1e-9 0x1F 3.14159 ½ ² ³ Ⅷ ① ٣٤٥ 一二三 １２３',
  'x = y*2 + f(a[i], b->c) << 3 && !d || ~e ? "s" : \'t\';',
  'def f(x):\n    return x ** 2  # comment\n\n\nclass A:\n\tpass\n',
  '#include <vector>\r\nint main() {\r\n  return 0;\r\n}\r\n',
  'https://example.org/path?q=1&r=2#frag user.name+tag@example.com C:\\dir',
  '<div class="a">&amp;&#x27;</div> {{ x }} {% if y %} $HOME ~/x @a #b',
  '∑ x² ≤ ∞ ± √2 × π ∀x∈ℝ ⊂ → ⇒ $\\frac{a}{b}$ ℂℕ𝐀𝔸',
  '$5 €10 £3 ¥7 5¢ ₿ 50% ‰ § ¶ † • … – — “curly” ‘single’ «fr» „de“',
  'snake_case __init__ CamelCase kebab-case SCREAMING_CASE a.b.c',
  '!!! ... ??? ---*** ///\\\\ ===>>> ((())) ，。、；：？！（）【】《》',
  '<｜User｜>hi<｜Assistant｜></think>yes<｜end▁of▁sentence｜>',
  '<｜begin▁of▁sentence｜><|EOT|><｜fim▁hole｜> <｜User｜ ><|User|>',
  '<｜<｜User｜><<｜tool▁sep｜>｜><｜▁pad▁｜><｜place▁holder▁no▁7｜>',
  '\u0000\u0001\u001f\u007f \u0080\u0085\u009f \u00a0\u00ad\u180e\u200b',
  '\ufeffBOM \u2028line\u2029para \u202f\u205f\u3000wide \ufffd\uffff',
  '\ue000 \u{f0000} \u{10ffff} \u{1f600} \u{20000}',
];

const kSpaces = [
  '', ' ', '  ', '   ', '\t', '\n', '\r', '\r\n', '\n\n', ' \n', '\n ',
  '\t\t', ' \t ', '\u00a0', '\u3000', '\u2003 ', '\v', '\f', '\u0085',
  ' \r\n \r\n', '          ', '\n\n\n\n    ', '\u2028', '\u1680',
];

/** Pieces of sentences with all kinds of space between. */
function mixedTexts(random, count) {
  const texts = [];
  for (let i = 0; i < count; ++i) {
    let text = '';
    for (let parts = 1 + random.below(6); parts > 0; --parts) {
      const characters = [...random.of(kSentences)];
      const begin = random.below(characters.length);
      const length = 1 + random.below(12);
      text += characters.slice(begin, begin + length).join('');
      text += random.of(kSpaces);
    }
    texts.push(text);
  }
  return texts;
}

/** Short strings over characters at which the expressions decide. */
function edgeTexts(random, count) {
  const alphabet = [
    'a', 'Z', 'é', 'ß', 'ǅ', 'ʰ', 'ƻ', 'ª', '0', '9', '٣', '½', '一', '龥', '龦', 'あ',
    'ア', '゠', '가', 'ก', '्', '\u0301', '\u20dd', '!', '_', "'", '(', '¡', '،',
    '—', '+', '$', '^', '€', '😀', ' ', ' ', '\t', '\n', '\r', '\u0085', '\u00a0',
    '\u180e', '\u200b', '\u2028', '\u3000', '\ufeff', '\u0001', '\u{e0067}',
    '、', '。', '〈', '！', '～', '\u2018', '\u2020', '｜', '<', '>', 'ﬀ', '𐐀', '𞤀',
  ];
  const texts = [];
  for (let i = 0; i < count; ++i) {
    let text = '';
    for (let n = 1 + random.below(8); n > 0; --n) text += random.of(alphabet);
    texts.push(text);
  }
  return texts;
}

/** Every character but the `unassigned`, of CJK and above every fifth. */
function characterTexts(unassigned) {
  const texts = [];
  let text = '';
  for (let code = 0; code < 0xe0200; code += code < 0x3400 ? 1 : 5) {
    if (code >= 0xd800 && code < 0xe000) continue;
    if (unassigned.has(code)) continue;
    const character = String.fromCodePoint(code);
    text += `a${character} ${character}${character}1\n`;
    if (text.length > 400) {
      texts.push(text);
      text = '';
    }
  }
  return [...texts, text];
}

function longTexts(random) {
  const words = kSentences.join(' ').split(' ');
  let line = '';
  while (line.length < 50000) line += random.of(words) + ' ';
  return [
    line, 'a'.repeat(20000), ' '.repeat(20000) + 'x', '\n'.repeat(5000),
    'ab12'.repeat(4000), '!'.repeat(10000), '数'.repeat(8000),
    'e\u0301'.repeat(5000), ' \n'.repeat(4000) + ' x', '7'.repeat(10000),
    'antidisestablishmentarianism'.repeat(500), '<'.repeat(5000),
  ];
}

/**
 * Texts in UTF-8. Code points in the set `unassigned` are left out where all are
 * gone through: programs with newer Unicode tables treat them otherwise.
 */
export function validTexts(unassigned) {
  const random = new Random(20240817);
  return [
    '', ...kSentences, ...kSpaces, ...repositoryTexts(random),
    ...mixedTexts(random, 4000), ...edgeTexts(random, 4000),
    ...characterTexts(unassigned), ...longTexts(random),
  ];
}

/** Buffers, most of them not UTF-8. */
export function brokenTexts() {
  const random = new Random(7);
  const texts = [Buffer.from(Array.from({length: 256}, (_, i) => i))];
  for (const sentence of kSentences) {
    const bytes = Buffer.from(sentence);
    for (let round = 0; round < 20; ++round) {
      const broken = Buffer.from(bytes);
      for (let n = 1 + random.below(4); n > 0; --n) {
        broken[random.below(broken.length)] = random.below(256);
      }
      texts.push(broken.subarray(random.below(4)));
    }
  }
  return texts;
}
