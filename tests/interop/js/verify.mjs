#!/usr/bin/env node
// Verifies Tyto's evidence from the format description alone. See tests/interop/README.md.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { shake256 } from '@noble/hashes/sha3.js';

import { readTrustedKeys, verifyAttestation, verifyFile } from './lib/attestation-file.mjs';
import { ascii, equal, hex, isBytes, unhex } from './lib/bytes.mjs';
import { saltedDigest } from './lib/claims.mjs';
import { Verifier } from './lib/evidence.mjs';
import { blocksRoot } from './lib/merkle.mjs';
import { Rejected } from './lib/rejected.mjs';
import { openTrustRoot, updateTrustRoot } from './lib/trust-root.mjs';

/** One line of JSON, the same from every implementation. */
function report(value) {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'bigint') return value.toString();
  if (isBytes(value)) return JSON.stringify(hex(value));
  if (Array.isArray(value)) return `[${value.map(report).join(',')}]`;
  if (typeof value !== 'object') return JSON.stringify(value);
  const entries = Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${report(value[key])}`);
  return `{${entries.join(',')}}`;
}

/** Whole numbers become BigInt: some are larger than a double can tell apart, so they are marked before parsing. */
function parseJson(data) {
  const marked = data.toString().replace(/(?<=[:[,]\s*)\d+(?=\s*[,\]}])/g, '"$&n"');
  return JSON.parse(marked, (_, value) => (/^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value));
}

function verdict(verify) {
  try {
    return { verdict: 'accepted', facts: verify() };
  } catch (reason) {
    if (!(reason instanceof Rejected)) throw reason;
    const { part, check, detail, withoutDecision } = reason;
    return { verdict: 'rejected', part, check, detail, ...(withoutDecision ? { without_decision: withoutDecision } : {}) };
  }
}

function factsOfRoot({ version, issuedAt, name, signers, keys }) {
  const facts = { object: 'trust-root', version, issued_at: issuedAt, name, root_key_id: signers[0].id, keys: {} };
  for (const [id, key] of keys) {
    facts.keys[id] = {
      name: key.name,
      purpose: key.purpose,
      log_id: key.logId,
      valid_from: key.validFrom,
      valid_until: key.validUntil,
      revoked_at: key.revokedAt,
    };
  }
  return facts;
}

function read(path) {
  const data = readFileSync(path);
  return path.endsWith('.hex') ? unhex(data.toString().trim()) : new Uint8Array(data);
}

function verifyCase(folder, testCase) {
  const file = (name) => read(resolve(folder, testCase[name]));
  const verifier = () => new Verifier(openTrustRoot(file('roots')), testCase.at_unix_ms ?? undefined);
  switch (testCase.form) {
    case 'attestation': return verifyAttestation(file('file'), readTrustedKeys(file('keys')));
    case 'file': return verifyFile(file('file'), readTrustedKeys(file('keys')));
    case 'evidence': return verifier().evidence(file('file'));
    case 'consistency': return verifier().consistency(file('file'), file('old'));
    case 'trust-root':
      if (testCase.pinned) return factsOfRoot(openTrustRoot(file('file'), unhex(testCase.pinned)));
      return factsOfRoot(updateTrustRoot(openTrustRoot(file('roots')), file('file')));
    default: throw new Error(`unknown form ${testCase.form} of case ${testCase.name}`);
  }
}

function runVectors(folder, reportPath) {
  const { cases } = parseJson(readFileSync(join(folder, 'index.json')));
  const [lines, failures] = [[], []];
  for (const testCase of cases) {
    const { detail, ...found } = verdict(() => verifyCase(folder, testCase));
    for (const name of testCase.verdict === undefined ? [] : ['verdict', 'part', 'check']) {
      if (testCase[name] === found[name]) continue;
      failures.push(`${testCase.name}: ${name} should be ${testCase[name]}, is ${found[name]} (${detail})`);
      break;
    }
    lines.push(`${report({ case: testCase.name, ...found })}\n`);
  }
  if (existsSync(join(folder, 'expected.json'))) failures.push(...checkWrittenFacts(folder));
  if (reportPath !== undefined) writeFileSync(reportPath, lines.join(''));
  for (const failure of failures) console.log('FAILED', failure);
  const accepted = lines.filter((line) => line.includes('"verdict":"accepted"')).length;
  const counts = `${accepted} accepted, ${cases.length - accepted} rejected`;
  console.log(`javascript: ${cases.length} cases, ${counts}; ${failures.length} not as ${basename(folder)} says`);
  return failures.length > 0 || cases.length === 0;
}

/** Statements, digests and roots against `expected.json`, which was written by hand. */
function checkWrittenFacts(folder) {
  const expected = parseJson(readFileSync(join(folder, 'expected.json')));
  const keys = readTrustedKeys(read(join(folder, 'trusted-keys.txt')));
  const failures = [];
  for (const name of ['full', 'sparse']) {
    const { claim, issued_at: issuedAt, ...rest } = verifyFile(read(join(folder, `${name}.file.hex`)), keys).statement;
    const said = { ...rest, ...claim, issued_at_unix_ms: issuedAt };
    for (const [field, value] of Object.entries(expected[name].statement)) {
      if (report(said[field]) !== report(value)) failures.push(`${name}: ${field} is ${report(said[field])}`);
    }
    const blocks = expected[name].blocks.map(([id, version]) => [unhex(id), version]);
    if (!equal(claim.blocks_root, blocksRoot(blocks))) failures.push(`${name}: blocks_root`);
    for (const [content, value] of Object.entries(expected.contents)) {
      const digest = saltedDigest(`${content}_digest`, unhex(expected.salt), unhex(value));
      if (!equal(claim[`${content}_digest`], digest)) failures.push(`${name}: ${content}_digest`);
    }
  }
  return failures;
}

/** Flips single bits at places that follow from the seed, the same in every implementation. */
function runFlips(path, verifier, count, seed) {
  const data = read(path);
  verifier.evidence(data);
  const places = Buffer.from(shake256(ascii(seed), { dkLen: 4 * count }));
  const survivors = [];
  for (let index = 0; index < count; index++) {
    const bit = places.readUInt32BE(4 * index) % (8 * data.length);
    const flipped = data.slice();
    flipped[bit >> 3] ^= 1 << (bit & 7);
    if (verdict(() => verifier.evidence(flipped)).verdict === 'accepted') survivors.push(bit);
  }
  const rejected = count - survivors.length;
  console.log(`javascript: ${count} single-bit flips of ${basename(path)}, seed '${seed}': ${rejected} rejected`);
  for (const bit of survivors) console.log(`FAILED: bit ${bit} makes no difference`);
  return survivors.length > 0 || count === 0;
}

const USAGE = `verify.mjs --bundle FILE --roots FILE [--at MS|none] [--pin KEY_ID] [--old CHECKPOINT | --flips N [--seed S]]
verify.mjs --vectors FOLDER [--report FILE]`;

function main() {
  const names = ['bundle', 'roots', 'at', 'old', 'pin', 'flips', 'seed', 'vectors', 'report'];
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' }]));
  const { values: given } = parseArgs({ options });
  if (given.vectors !== undefined) return runVectors(given.vectors, given.report);
  if (given.bundle === undefined || given.roots === undefined) {
    console.error(USAGE);
    return true;
  }
  const at = given.at === 'none' ? undefined : BigInt(given.at ?? Date.now());
  const pinned = given.pin === undefined ? undefined : unhex(given.pin);
  if (given.flips !== undefined) {
    const verifier = new Verifier(openTrustRoot(read(given.roots), pinned), at);
    return runFlips(given.bundle, verifier, Number(given.flips), given.seed ?? 'tyto interop');
  }
  const { detail, ...found } = verdict(() => {
    const verifier = new Verifier(openTrustRoot(read(given.roots), pinned), at);
    if (given.old !== undefined) return verifier.consistency(read(given.bundle), read(given.old));
    return verifier.evidence(read(given.bundle));
  });
  console.log(report({ ...found, ...(detail ? { detail } : {}) }));
  return found.verdict !== 'accepted';
}

process.exitCode = main() ? 1 : 0;
