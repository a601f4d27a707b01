/** Appraises the evidence of NVIDIA GPUs, by itself or with the verdict of NVIDIA's own service. */
import { check, skipped } from '../checks.ts'
import type { Check } from '../checks.ts'
import type { Devices } from '../verdict/subject.ts'
import { checkGpus, presentedGpus } from './local.ts'
import { checkNrasAnswer } from './nras.ts'
import type { NvidiaPolicy } from './policy.ts'
import { productOf } from './products.ts'
import { parseGpuRequest } from './request.ts'
import { GpuEvidenceError } from './spdm.ts'
import type { GpuRequest } from './request.ts'

export type { NvidiaPolicy } from './policy.ts'

export interface NvidiaOptions {
  /** What the GPUs must answer: 64 hexadecimal digits. */
  readonly nonce: string
  readonly policy?: NvidiaPolicy
  /** When the evidence is appraised; now, if absent. */
  readonly now?: Date
  readonly clockToleranceSeconds?: number
  /** The service's answer to the same request: JSON text, or what was parsed from it. */
  readonly answer?: unknown
  /** The service's key set, `{ keys: [JWK, …] }`; needed for an answer. */
  readonly keySet?: unknown
  /** Instead of NVIDIA's root: SHA-256 of the certificate, DER, in hexadecimal. */
  readonly root?: string
}

export interface NvidiaFindings {
  readonly checks: readonly Check[]
  /** The section that pins exactly what was presented. */
  readonly presented: NvidiaPolicy
  /** How many GPUs, and what they are sold as. Trust it only if no check failed. */
  readonly devices?: Devices
}

/**
 * Checks everything it can, so that the findings name each failure and not only the first one.
 *
 * @param request `{ arch, nonce, evidence_list }`, as NRAS takes it: JSON text, or what was parsed from it
 */
export async function appraiseNvidia (request: unknown, options: NvidiaOptions): Promise<NvidiaFindings> {
  const { policy = {}, now = new Date(), clockToleranceSeconds = 60, nonce, root, answer, keySet } = options
  const parsed = readRequest(request)
  if (parsed instanceof GpuEvidenceError) {
    return { checks: [check('gpu-evidence', false, parsed.message)], presented: {} }
  }
  const local = await checkGpus(parsed, { policy, now, nonce, root })
  const nras = answer === undefined
    ? [unanswered(policy)]
    : await checkNrasAnswer(answer, parsed, { nonce: nonce.toLowerCase(), now, clockToleranceSeconds, keySet })
  return {
    checks: [...local, ...nras],
    presented: { ...presentedGpus(parsed), appraisal: answer === undefined ? 'local' : 'nras' },
    devices: devicesOf(parsed)
  }
}

function devicesOf ({ gpus }: GpuRequest): Devices {
  const models = gpus.map(gpu => gpu instanceof GpuEvidenceError ? undefined : productOf(gpu))
  return {
    vendor: 'NVIDIA', kind: 'GPU', count: gpus.length, models: [...new Set(models.filter(model => model !== undefined))]
  }
}

function readRequest (request: unknown): GpuRequest | GpuEvidenceError {
  try {
    return parseGpuRequest(request)
  } catch (error) {
    if (error instanceof GpuEvidenceError) return error
    throw error
  }
}

function unanswered ({ appraisal }: NvidiaPolicy): Check {
  if (appraisal === 'nras') {
    return check(
      'nras-answer', false, 'The policy demands an answer of NVIDIA\'s Remote Attestation Service; there is none'
    )
  }
  return skipped('gpu-measurements', 'Not compared with NVIDIA\'s reference values, and revocation not asked for: ' +
    'the policy demands no answer of NVIDIA\'s Remote Attestation Service')
}
