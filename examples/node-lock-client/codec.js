// Avro single-object encoding: C3 01, the schema's CRC-64-AVRO fingerprint (little endian), the body.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import avro from 'avsc';

const SCHEMAS = fileURLToPath(new URL('../../schemas/src/main/avro/', import.meta.url));

// in this order: later ones refer to types of earlier ones by name
const FILES = [
  'kernel/OperatorOrder', 'kernel/Layout', 'lock/ReplyTo', 'lock/Acquire', 'lock/AcquireReply', 'lock/Cancel',
  'lock/CloseSession',
  'lock/ForceReleased', 'lock/KeepAlive', 'lock/Release', 'lock/ReleaseReply', 'lock/SessionExpired', 'lock/SessionOk',
];

const EMPTY = 0xc15d213aa4d7a795n;
const TABLE = Array.from({ length: 256 }, (_, i) => {
  let value = BigInt(i);
  for (let bit = 0; bit < 8; bit++) {
    value = (value >> 1n) ^ (EMPTY & -(value & 1n));
  }
  return BigInt.asUintN(64, value);
});

// Fingerprint of a schema's parsing canonical form, as the Avro specification defines it.
function fingerprint(type) {
  let value = EMPTY;
  for (const byte of Buffer.from(JSON.stringify(type.schema()), 'utf8')) {
    value = (value >> 8n) ^ TABLE[Number((value ^ BigInt(byte)) & 0xffn)];
  }
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

// A long becomes a number where that loses nothing (all that this client uses), else a BigInt.
const LONG = avro.types.LongType.__with({
  fromBuffer: (bytes) => {
    const value = bytes.readBigInt64LE();
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  },
  toBuffer: (value) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(value));
    return bytes;
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value) => typeof value === 'bigint' || Number.isSafeInteger(value),
  compare: (a, b) => (a < b ? -1 : a > b ? 1 : 0),
});
const typeHook = (schema) => (schema === 'long' || schema?.type === 'long' ? LONG : undefined);

const byName = new Map();
const byFingerprint = new Map();
const registry = {};
for (const file of FILES) {
  const type = avro.Type.forSchema(JSON.parse(readFileSync(`${SCHEMAS}${file}.avsc`, 'utf8')), { registry, typeHook });
  const id = fingerprint(type);
  const name = file.substring(file.indexOf('/') + 1);
  byName.set(name, { type, header: Buffer.concat([Buffer.from([0xc3, 0x01]), id]) });
  byFingerprint.set(id.toString('hex'), { name, type });
}

export function encode(name, value) {
  const { type, header } = byName.get(name);
  return Buffer.concat([header, type.toBuffer(value)]);
}

// Returns { name, value }, or null for a type that this client does not know: others may write to its partition.
export function decode(bytes) {
  const known = bytes?.length > 10 && byFingerprint.get(bytes.subarray(2, 10).toString('hex'));
  return known ? { name: known.name, value: known.type.fromBuffer(bytes.subarray(10)) } : null;
}

// Kafka's hash of a key.
export function murmur2(text) {
  const data = Buffer.from(text, 'utf8');
  const m = 0x5bd1e995;
  let h = 0x9747b28c ^ data.length;
  let i = 0;
  for (; i + 4 <= data.length; i += 4) {
    let k = Math.imul(data.readInt32LE(i), m);
    k = Math.imul(k ^ (k >>> 24), m);
    h = Math.imul(h, m) ^ k;
  }
  const left = data.length - i;
  if (left >= 3) h ^= data[i + 2] << 16;
  if (left >= 2) h ^= data[i + 1] << 8;
  if (left >= 1) h = Math.imul(h ^ data[i], m);
  h = Math.imul(h ^ (h >>> 13), m);
  return (h ^ (h >>> 15)) & 0x7fffffff;
}
