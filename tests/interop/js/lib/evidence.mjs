// Bundles, and bare attestations, decisions and checkpoints: the order of checks of the format description.
// The numbers in comments are the rows of its table of checks.

import { ALGORITHMS, PURPOSES, isPurpose, keyId, verifies } from './algorithms.mjs';
import { equal, hex, isArray, isBytes, isInt, isUint } from './bytes.mjs';
import { decode } from './cbor.mjs';
import {
  CHECKPOINT_TYPE, CONSISTENCY, INCLUSION, MAX_BYTES, readCheckpoint, signedByLog, signedByWitness,
} from './checkpoint.mjs';
import { isMatch, readDecision, readStatement } from './claims.mjs';
import { beginsAsSign1, readHeader, readPlainSign1, requireKnownAlgorithm, signedBytes, typOf } from './cose.mjs';
import { checkConsistency, leafHash, rootOfInclusion } from './merkle.mjs';
import { Rejected, require } from './rejected.mjs';
import { checkKeyTimes, checkOrder, earliest, inOrder } from './times.mjs';

const MAX_BUNDLE_BYTES = 327_680;
export const MAX_ENTRY_BYTES = 6_144;
const BUNDLE_VERSION = 1n;
const [WITH_ATTESTATION, BARE_STATEMENT] = [1n, 2n];
const ATTESTATION_TYPE = 'application/vnd.tyto.attestation+cbor';
const DECISION_TYPE = 'application/vnd.tyto.decision+cbor';

function readKeyEntry(item) {
  const part = 'bundle';
  require(isArray(item, 3) && isInt(item[0]), part, 'field', 'key');
  const [algorithm, purpose, publicKey] = item;
  require(ALGORITHMS.has(algorithm), part, 'algorithm', String(algorithm));
  require(isPurpose(purpose), part, 'field', 'purpose');
  require(isBytes(publicKey, ALGORITHMS.get(algorithm).publicKeyBytes), part, 'field', 'public key');
  return { algorithm, purpose, publicKey };
}

function readBundle(data) {
  const part = 'bundle';
  require(data.length <= MAX_BUNDLE_BYTES, part, 'size');
  const items = decode(data, part);
  require(isArray(items) && items[0] === 'tyto-bundle', part, 'field', 'magic');
  require(isUint(items[1]), part, 'field', 'version');
  require(items[1] === BUNDLE_VERSION, part, 'version', String(items[1]));
  require(isArray(items, 7), part, 'field', 'number of items');
  const [, , mode, entry, receipt, keys, decision] = items;
  require(mode === WITH_ATTESTATION || mode === BARE_STATEMENT, part, 'field', 'mode');
  require(isBytes(entry) && entry.length <= MAX_ENTRY_BYTES, part, 'field', 'entry');
  const possible = (item, maxBytes) => item === null || (isBytes(item) && item.length <= maxBytes);
  require(possible(receipt, MAX_BYTES), part, 'field', 'receipt');
  require(receipt !== null || mode === WITH_ATTESTATION, part, 'field', 'a statement without a receipt');
  require(possible(decision, MAX_ENTRY_BYTES), part, 'field', 'decision');
  require(isArray(keys) && keys.length <= 3, part, 'field', 'keys');
  const entries = keys.map(readKeyEntry);
  const signers = [mode === WITH_ATTESTATION, receipt !== null, decision !== null].filter(Boolean).length;
  require(entries.length === signers, part, 'field', 'number of keys');
  return { mode, entry, receipt, keys: entries, decision };
}

/** Rows 2 and 3 of an attestation, which names the parts of these rows its own way. */
export function readAttestation(data) {
  const envelope = readPlainSign1(data, 'envelope', MAX_ENTRY_BYTES);
  const header = readHeader(envelope.protectedHeader, 'protected header', { typ: ATTESTATION_TYPE });
  requireKnownAlgorithm(header, 'protected header');
  return { envelope, header };
}

/** One verification: against which trust root, and at what time; undefined without a clock. */
export class Verifier {
  constructor(roots, at) {
    Object.assign(this, { roots, at });
  }

  /** Row 4, up to the signature. `entry` is undefined outside of bundles. */
  signer(part, { kid, alg }, purpose, entry) {
    if (entry !== undefined) {
      const named = equal(keyId(entry.algorithm, entry.publicKey), kid) && entry.purpose === purpose;
      require(named, part, 'key-entry');
    }
    const key = this.roots.keys.get(hex(kid));
    require(key !== undefined, part, 'key-id', 'not in the trust root');
    require(alg === key.algorithm, part, 'algorithm-of-key');
    require(key.purpose === purpose, part, 'purpose');
    return key;
  }

  signedPayload(part, { envelope, header }, purpose, entry) {
    const key = this.signer(part, header, purpose, entry);
    const signed = signedBytes(envelope, envelope.payload);
    require(verifies(key.algorithm, key.publicKey, signed, envelope.signature), part, 'signature');
    return key;
  }

  /** Rows 2 to 5. */
  attestation(data, entry) {
    const attestation = readAttestation(data);
    const key = this.signedPayload('envelope', attestation, PURPOSES.attestation, entry);
    return { statement: readStatement(attestation.envelope.payload), key };
  }

  /** Rows 9 to 12. */
  checkpoint(checkpoint, entry) {
    const part = 'checkpoint';
    const { envelope, header, head } = checkpoint;
    const key = this.signer(part, header, PURPOSES.log, entry);
    const holds = verifies(key.algorithm, key.publicKey, signedByLog(checkpoint), envelope.signature);
    require(holds, part, 'signature');
    require(equal(key.logId, head.logId), 'trust root', 'log-id');
    const cosignatures = checkpoint.cosignatures.map((each) => this.cosignature(checkpoint, each));
    const counting = cosignatures.filter(({ verdict }) => verdict === 'counts');
    const seen = earliest(this.at, ...counting.map(({ time }) => time));
    checkKeyTimes(part, key, { made: head.time, seen, outlivesKey: true });
    checkOrder(part, head.time, this.at);
    const { logId, ...rest } = head;
    const algorithm = ALGORITHMS.get(header.alg).name;
    return { ...rest, log_id: logId, key_id: header.kid, algorithm, cosignatures, seen };
  }

  cosignature(checkpoint, cosignature) {
    const part = 'co-signature';
    const { header, time: made } = cosignature;
    const facts = { key_id: header.kid, time: made };
    const key = this.roots.keys.get(hex(header.kid));
    if (key === undefined) return { ...facts, verdict: 'unknown-key' };
    require(key.purpose === PURPOSES.witness, part, 'purpose');
    require(header.alg === key.algorithm, part, 'algorithm-of-key');
    const signed = signedByWitness(checkpoint, cosignature);
    require(verifies(key.algorithm, key.publicKey, signed, cosignature.signature), part, 'signature');
    let believed = inOrder(checkpoint.head.time, made) && inOrder(made, this.at);
    try {
      checkKeyTimes(part, key, { made, seen: this.at, outlivesKey: true });
    } catch (reason) {
      if (!(reason instanceof Rejected)) throw reason;
      believed = false;
    }
    return { ...facts, verdict: believed ? 'counts' : 'not-believed' };
  }

  /** Row 15 as far as it goes for a bare decision. */
  decision(data, entry) {
    const part = 'decision';
    const envelope = readPlainSign1(data, part, MAX_ENTRY_BYTES);
    const header = readHeader(envelope.protectedHeader, part, { typ: DECISION_TYPE });
    requireKnownAlgorithm(header, part);
    const key = this.signedPayload(part, { envelope, header }, PURPOSES.decision, entry);
    const decision = readDecision(envelope.payload);
    require(key.name === decision.tenant, part, 'tenant');
    checkOrder(part, decision.decided_at, this.at);
    checkKeyTimes(part, key, { made: decision.decided_at, seen: this.at });
    return { ...decision, key_id: header.kid, seen: this.at };
  }

  /** Row 15. */
  decisionAbout(data, entry, leaf, statement) {
    const part = 'decision';
    const decision = this.decision(data, entry);
    require(equal(decision.rests_on, leaf), part, 'decision-digest');
    require(isMatch(statement), part, 'decision-kind');
    checkOrder(part, statement.issued_at, decision.decided_at);
    return decision;
  }

  bundle(data) {
    const { mode, entry, receipt, keys, decision } = readBundle(data);
    const leaf = leafHash(entry);
    const signed = mode === WITH_ATTESTATION;
    const { statement, key } = signed ? this.attestation(entry, keys.shift()) : { statement: readStatement(entry) };
    const facts = { object: 'bundle', mode, statement };
    if (receipt !== null) Object.assign(facts, this.receipt(receipt, leaf, keys.shift()));
    this.statementInItsLog(facts);
    facts.seen = this.statementSeen(facts);
    if (key !== undefined) {
      facts.key_id = key.id;
      checkKeyTimes('statement', key, { made: statement.issued_at, seen: facts.seen });
    }
    try {
      if (decision !== null) facts.decision = this.decisionAbout(decision, keys.shift(), leaf, statement);
    } catch (reason) {
      if (reason instanceof Rejected) reason.withoutDecision = facts;
      throw reason;
    }
    return facts;
  }

  receipt(data, leaf, entry) {
    const receipt = readCheckpoint(data, INCLUSION);
    const { proof, head } = receipt;
    const root = rootOfInclusion(leaf, proof.start, head.size, proof.path);
    require(equal(root, head.root), 'receipt', 'root');
    return { index: proof.start, checkpoint: this.checkpoint(receipt, entry) };
  }

  statementSeen({ checkpoint }) {
    return earliest(this.at, checkpoint?.time);
  }

  /** Row 13. */
  statementInItsLog(facts) {
    const part = 'statement';
    const { statement, checkpoint, index } = facts;
    const { log_id: logId, previous_checkpoint: previous } = statement;
    if (checkpoint !== undefined) {
      require(logId === null || equal(logId, checkpoint.log_id), part, 'log-id');
      require(previous === null || previous[0] <= index, part, 'previous-checkpoint');
    }
    checkOrder(part, statement.issued_at, this.statementSeen(facts));
  }

  bareAttestation(data) {
    const { statement, key } = this.attestation(data);
    const facts = { object: 'attestation', statement, key_id: key.id, seen: this.at };
    this.statementInItsLog(facts);
    checkKeyTimes('statement', key, { made: statement.issued_at, seen: this.at });
    return facts;
  }

  evidence(data) {
    if (!beginsAsSign1(data)) return this.bundle(data);
    switch (typOf(data)) {
      case CHECKPOINT_TYPE: return { object: 'checkpoint', checkpoint: this.checkpoint(readCheckpoint(data)) };
      case DECISION_TYPE: return { object: 'decision', decision: this.decision(data) };
      default: return this.bareAttestation(data);
    }
  }

  /** A receipt of consistency against an earlier checkpoint, whose tree head counts as verified. */
  consistency(data, oldCheckpoint) {
    const part = 'receipt';
    const { head: old } = readCheckpoint(oldCheckpoint);
    const receipt = readCheckpoint(data, CONSISTENCY);
    const { proof, head } = receipt;
    require(equal(old.logId, head.logId), part, 'log-id');
    require(old.size === proof.start, part, 'tree-size');
    checkConsistency(old.size, old.root, head.size, head.root, proof.path);
    return { object: 'consistency', old_size: old.size, checkpoint: this.checkpoint(receipt) };
  }
}
