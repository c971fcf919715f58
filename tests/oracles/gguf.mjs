// Reads and writes the metadata of GGUF files (v3, little endian).
import fs from 'node:fs';

const kUint32 = 4;
const kInt32 = 5;
const kBool = 7;
const kString = 8;
const kArray = 9;

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }
  take(size) {
    this.at += size;
    return this.at - size;
  }
  u32() { return this.bytes.readUInt32LE(this.take(4)); }
  u64() { return Number(this.bytes.readBigUInt64LE(this.take(8))); }
  string() {
    const size = this.u64();
    const begin = this.take(size);
    return this.bytes.toString('utf8', begin, begin + size);
  }
  value(type) {
    switch (type) {
      case 0: return this.bytes.readUInt8(this.take(1));
      case 1: return this.bytes.readInt8(this.take(1));
      case 2: return this.bytes.readUInt16LE(this.take(2));
      case 3: return this.bytes.readInt16LE(this.take(2));
      case kUint32: return this.u32();
      case kInt32: return this.bytes.readInt32LE(this.take(4));
      case 6: return this.bytes.readFloatLE(this.take(4));
      case kBool: return this.bytes.readUInt8(this.take(1)) !== 0;
      case kString: return this.string();
      case kArray: {
        const element = this.u32();
        const count = this.u64();
        return Array.from({length: count}, () => this.value(element));
      }
      case 10: return this.u64();
      case 11: return Number(this.bytes.readBigInt64LE(this.take(8)));
      case 12: return this.bytes.readDoubleLE(this.take(8));
      default: throw new Error(`GGUF value type ${type} is unknown`);
    }
  }
}

export function readGgufMetadata(file) {
  const reader = new Reader(fs.readFileSync(file));
  reader.take(8);  // magic, version
  reader.u64();    // tensors
  const count = reader.u64();
  const metadata = {};
  for (let i = 0; i < count; ++i) {
    const key = reader.string();
    metadata[key] = reader.value(reader.u32());
  }
  return metadata;
}

function u32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
function u64(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
function string(text) {
  const bytes = Buffer.from(text, 'utf8');
  return Buffer.concat([u64(bytes.length), bytes]);
}
function typed(value) {
  if (typeof value === 'boolean') return [u32(kBool), Buffer.from([value ? 1 : 0])];
  if (typeof value === 'number') return [u32(kUint32), u32(value)];
  if (typeof value === 'string') return [u32(kString), string(value)];
  const strings = typeof value[0] === 'string';
  return [
    u32(kArray), u32(strings ? kString : kInt32), u64(value.length),
    ...value.map((element) => strings ? string(element) : u32(element)),
  ];
}

/** A file with metadata and no tensors. */
export function writeGgufMetadata(file, metadata) {
  const entries = Object.entries(metadata);
  const parts = [Buffer.from('GGUF'), u32(3), u64(0), u64(entries.length)];
  for (const [key, value] of entries) {
    parts.push(string(key), Buffer.concat(typed(value)));
  }
  fs.writeFileSync(file, Buffer.concat(parts));
}
