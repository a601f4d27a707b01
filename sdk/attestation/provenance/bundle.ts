/**
 * Reads a Sigstore bundle of version 0.3 with an in-toto statement in a DSSE envelope, as far as policies look at it.
 * What it says is to be believed only once its signature has been verified.
 */
import { decodeBase64 } from '../../../lib/protocols/base64.ts'
import type { Bytes } from '../../../lib/protocols/bytes.ts'

const MEDIA_TYPES = [
  'application/vnd.dev.sigstore.bundle.v0.3+json', 'application/vnd.dev.sigstore.bundle+json;version=0.3'
]
const ENTRIES = 'verificationMaterial.tlogEntries'
export const MAX_BUNDLE_CHARACTERS = 4 * 1024 * 1024

export interface ProvenanceBundle {
  /** As parsed: what the library verifies. */
  readonly json: unknown
  /** Of the key that signed: DER. */
  readonly certificate: Bytes
  readonly payloadType: string
  readonly statement: Statement
  readonly logEntries: readonly LogEntry[]
}

/** An entry of a transparency log. */
export interface LogEntry {
  /** When it was put there, by the log's own word, if it tells. */
  readonly time: Date | undefined
  /** The root of its proof of inclusion is the one of the checkpoint that the log signed. */
  readonly consistent: boolean
}

/** An in-toto statement. */
export interface Statement {
  readonly type: unknown
  readonly predicateType: unknown
  readonly predicate: unknown
  /** SHA-256 of the first subject, as it is written. */
  readonly digest: unknown
}

/** The text is no bundle that is accepted here. The message repeats nothing of it. */
export class BundleError extends Error {
  override readonly name = 'BundleError'
  readonly code = 'ERR_BUNDLE'

  constructor (detail: string, options?: ErrorOptions) {
    super(`Not a Sigstore bundle of version 0.3 with an in-toto statement: ${detail}`, options)
  }
}

/**
 * @param input JSON text, or what was parsed from it
 * @throws {BundleError}
 */
export function parseBundle (input: unknown): ProvenanceBundle {
  const json = typeof input === 'string' ? parseJson(input, 'JSON is expected') : input
  const bundle = asObject(json, 'an object is expected')
  if (!MEDIA_TYPES.includes(String(bundle['mediaType']))) throw new BundleError('mediaType')
  const material = asObject(bundle['verificationMaterial'], 'verificationMaterial')
  const envelope = asObject(bundle['dsseEnvelope'], 'dsseEnvelope')
  const { signatures, payloadType, payload } = envelope
  if (!Array.isArray(signatures) || signatures.length !== 1) {
    throw new BundleError('dsseEnvelope.signatures: one is expected')
  }
  if (typeof payloadType !== 'string') throw new BundleError('dsseEnvelope.payloadType')
  const { tlogEntries = [] } = material
  if (!Array.isArray(tlogEntries) || tlogEntries.length > 16) throw new BundleError(ENTRIES)
  return {
    json,
    certificate: asBytes(
      asObject(material['certificate'], 'verificationMaterial.certificate')['rawBytes'],
      'verificationMaterial.certificate'
    ),
    payloadType,
    statement: parseStatement(asBytes(payload, 'dsseEnvelope.payload')),
    logEntries: tlogEntries.map(entry => parseLogEntry(asObject(entry, ENTRIES)))
  }
}

function parseStatement (payload: Bytes): Statement {
  let text
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(payload)
  } catch (cause) {
    throw new BundleError('the statement is no text', { cause })
  }
  const statement = asObject(parseJson(text, 'the statement is no JSON'), 'the statement is no object')
  const { subject } = statement
  const [first] = Array.isArray(subject) ? subject : []
  const { sha256 } = asObject(asObject(first, 'the statement has no subject')['digest'], 'the subject has no digest')
  return {
    type: statement['_type'],
    predicateType: statement['predicateType'],
    predicate: statement['predicate'],
    digest: sha256
  }
}

/**
 * The library proves inclusion by the checkpoint alone, and never looks at the root and the size that stand beside it.
 * In a checkpoint (a note), they are the third line and the second.
 */
function parseLogEntry (entry: Record<string, unknown>): LogEntry {
  const { rootHash, treeSize, checkpoint } = asObject(entry['inclusionProof'], `${ENTRIES}.inclusionProof`)
  const { envelope } = asObject(checkpoint, `${ENTRIES}.inclusionProof.checkpoint`)
  const [, size, root] = typeof envelope === 'string' ? envelope.split('\n', 3) : []
  return { time: logTime(entry['integratedTime']), consistent: root === rootHash && size === treeSize }
}

/** Seconds since the epoch, as text. Entries of logs that tell no time have none, or zero. */
function logTime (value: unknown): Date | undefined {
  if (value === undefined || value === '0') return undefined
  if (typeof value !== 'string' || !/^[0-9]{1,11}$/.test(value)) throw new BundleError(`${ENTRIES}.integratedTime`)
  return new Date(Number(value) * 1000)
}

function parseJson (text: string, detail: string): unknown {
  if (text.length > MAX_BUNDLE_CHARACTERS) throw new BundleError('too long')
  try {
    return JSON.parse(text)
  } catch {
    // The parser's error would quote it.
    throw new BundleError(detail)
  }
}

function asObject (value: unknown, member: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new BundleError(member)
  return Object.assign(Object.create(null) as Record<string, unknown>, value)
}

function asBytes (value: unknown, member: string): Bytes {
  const bytes = typeof value === 'string' && value.length <= MAX_BUNDLE_CHARACTERS ? decodeBase64(value) : undefined
  if (!bytes || bytes.length === 0) throw new BundleError(member)
  return bytes
}
