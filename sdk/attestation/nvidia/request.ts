/**
 * The evidence of several GPUs as NVIDIA's tools collect it and NVIDIA's Remote Attestation Service (NRAS,
 * `POST /v3/attest/gpu`, `/v4/attest/gpu`) takes it: `{ arch, nonce, evidence_list: [{ evidence, certificate }] }`, the
 * nonce in hexadecimal, evidence and certificates (PEM) in base64.
 */
import { decodeBase64 } from '../../../lib/protocols/base64.ts'
import { decodeLatin1 } from '../../../lib/protocols/bytes.ts'
import { parseGpuChain } from './certificates.ts'
import type { GpuCertificate } from './certificates.ts'
import { MAX_GPUS } from './policy.ts'
import { GpuEvidenceError, parseGpuEvidence } from './spdm.ts'
import type { GpuEvidence } from './spdm.ts'
import type { Bytes } from '../../../lib/protocols/bytes.ts'

const MAX_TEXT = 16 * 1024 * 1024

export interface Gpu {
  readonly evidence: GpuEvidence
  readonly chain: readonly GpuCertificate[]
}

export interface GpuRequest {
  /** 64 hexadecimal digits, lower case. */
  readonly nonce: string
  /** In the order of the list. What could not be read is the error that says so. */
  readonly gpus: ReadonlyArray<Gpu | GpuEvidenceError>
}

/**
 * Reads a request. One GPU that cannot be read does not keep the others from being looked at.
 *
 * @param json the text, or what was parsed from it
 * @throws {GpuEvidenceError} it is not a request at all
 */
export function parseGpuRequest (json: unknown): GpuRequest {
  const request = asObject(typeof json === 'string' ? parseJson(json) : json)
  const { nonce, evidence_list: list } = request
  if (typeof nonce !== 'string' || !/^[0-9a-f]{64}$/i.test(nonce)) {
    throw new GpuEvidenceError('its nonce is not 64 hexadecimal digits')
  }
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_GPUS) {
    throw new GpuEvidenceError(`its evidence_list has not 1 to ${MAX_GPUS} entries`)
  }
  return { nonce: nonce.toLowerCase(), gpus: list.map(item => parseGpu(item, nonce)) }
}

function parseGpu (item: unknown, nonce: string): Gpu | GpuEvidenceError {
  try {
    const { evidence, certificate, nonce: own } = asObject(item)
    if (own !== undefined && own !== nonce) throw new GpuEvidenceError('its nonce is not the one of the list')
    return {
      evidence: parseGpuEvidence(base64(evidence, 'evidence')),
      chain: parseGpuChain(decodeLatin1(base64(certificate, 'certificate')))
    }
  } catch (error) {
    if (error instanceof GpuEvidenceError) return error
    throw error
  }
}

function base64 (value: unknown, member: string): Bytes {
  const bytes = typeof value === 'string' && value.length <= MAX_TEXT ? decodeBase64(value) : undefined
  if (!bytes) throw new GpuEvidenceError(`its ${member} is not base64`)
  return bytes
}

function parseJson (text: string): unknown {
  try {
    return text.length <= MAX_TEXT ? JSON.parse(text) : undefined
  } catch {
    // The parser's error would quote it.
    return undefined
  }
}

function asObject (value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new GpuEvidenceError('an object is expected')
  }
  return Object.assign(Object.create(null) as Record<string, unknown>, value)
}
