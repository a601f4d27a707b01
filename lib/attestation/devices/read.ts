/**
 * Reads what the source of device evidence answered, and writes it in the one form that the document has: what NVIDIA's
 * Remote Attestation Service (NRAS) takes. It comes in the forms of NVIDIA's tools:
 *
 *     { arch, nonce, evidence_list: [{ evidence, certificate }, …] }                       what NRAS takes
 *     { evidences: [{ arch, nonce, evidence, certificate, … }, …], result_code: 0, … }     nvattest collect-evidence
 *     [{ arch, nonce, evidence, certificate, … }, …]                                       NVIDIA's Python SDK
 *
 * The first two may have a member `nras_answer`: the answer of NRAS to this evidence.
 */
import { MAX_DEVICE_CHARACTERS, MEDIA_TYPES } from '../../protocols/attestation.ts'
import type { TypedValue } from '../../protocols/attestation.ts'
import { RemoteError } from '../../remote/error.ts'

/** Of the answer as a whole. Tools say more than is kept. */
export const MAX_ANSWER_BYTES = 2 * 1024 * 1024
/** A rack's domain has 72. */
const MAX_DEVICES = 128
const BASE64 = /^[A-Za-z\d+/]+={0,2}$/
const ARCHITECTURE = /^\w{1,32}$/

interface Device {
  readonly evidence: string
  readonly certificate: string
}

/**
 * @param nonce hexadecimal, lower case: what was asked
 * @param count how many devices there have to be
 * @throws {RemoteError}
 */
export function readDeviceEvidence (text: string, nonce: string, count?: number): readonly TypedValue[] {
  const answer = parse(text)
  const { result_code: result, nras_answer: nras } = Array.isArray(answer) ? {} as Record<string, unknown> : answer
  if (result !== undefined && result !== 0) throw unusable('refused', 'RESULT', 'says that it failed')
  const list = Array.isArray(answer) ? answer : answer['evidence_list'] ?? answer['evidences']
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_DEVICES) {
    throw unusable('refused', 'COUNT', `does not hold 1 to ${MAX_DEVICES} devices`)
  }
  if (count !== undefined && list.length !== count) {
    throw unusable('transient', 'COUNT', `holds ${list.length} devices, ${count} are expected`)
  }
  const items = [answer, ...list].filter(item => !Array.isArray(item)).map(member)
  const nonces = items.map(item => item['nonce']).filter(value => value !== undefined)
  if (nonces.length === 0 || nonces.some(value => typeof value !== 'string' || value.toLowerCase() !== nonce)) {
    throw unusable('transient', 'OTHER_NONCE', 'answers another nonce than the one that was asked')
  }
  const request = JSON.stringify({ ...architecture(items), nonce, evidence_list: list.map(device) })
  const verdict = nras === undefined ? '' : JSON.stringify(nras)
  if (request.length + verdict.length > MAX_DEVICE_CHARACTERS) {
    throw unusable('refused', 'TOO_LONG', 'is too long for the document')
  }
  return [
    [MEDIA_TYPES.nvidiaEvidence, request],
    ...nras === undefined ? [] : [[MEDIA_TYPES.nvidiaAnswer, verdict] as const]
  ]
}

function parse (text: string): Record<string, unknown> | unknown[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The parser's message quotes its input.
    throw unusable('transient', 'NOT_JSON', 'is not JSON')
  }
  return Array.isArray(value) ? value : member(value)
}

/** Own members only, so that nothing is read from a prototype. */
function member (value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw unusable('refused', 'FORM', 'has an unknown form')
  }
  return Object.assign(Object.create(null) as Record<string, unknown>, value)
}

function architecture (items: readonly Record<string, unknown>[]): { readonly arch?: string } {
  const [arch, ...others] = new Set(items.map(item => item['arch']).filter(value => value !== undefined))
  if (arch === undefined) return {}
  if (typeof arch !== 'string' || !ARCHITECTURE.test(arch) || others.length > 0) {
    throw unusable('refused', 'ARCHITECTURE', 'does not name one architecture for all devices')
  }
  return { arch }
}

function device (value: unknown): Device {
  const { evidence, certificate } = member(value)
  for (const part of [evidence, certificate]) {
    if (typeof part !== 'string' || !BASE64.test(part)) {
      throw unusable('refused', 'FORM', 'has a device without evidence and certificate in base64')
    }
  }
  return { evidence, certificate } as Device
}

function unusable (kind: 'refused' | 'transient', providerCode: string, what: string): RemoteError {
  return new RemoteError(kind, `The device evidence ${what}`, {
    providerCode,
    advice: 'Ask the source in POLARIS_CONTAINER_ATTESTATION_DEVICES by hand; docs/attestation-devices.md has the form'
  })
}
