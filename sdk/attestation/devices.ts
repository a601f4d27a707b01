/** The evidence of devices in a document, which answers a nonce of its own (docs/attestation-document.md). */
import { MEDIA_TYPES, deviceNonce } from '../../lib/protocols/attestation.ts'
import type { ParsedAttestation } from '../../lib/protocols/attestation.ts'
import { toHex } from './bytes.ts'
import { check, skipped } from './checks.ts'
import type { Check } from './checks.ts'
import type { Devices } from './verdict/subject.ts'
import type { VerifierContext } from './context.ts'
import { fetchJson } from './http.ts'
import { appraiseNvidia } from './nvidia/index.ts'
import { NRAS_ISSUER, NRAS_KEYS_URL } from './nvidia/nras.ts'
import type { AttestationPolicy } from './policy.ts'

export interface DeviceFindings {
  readonly checks: readonly Check[]
  readonly devices?: Devices | undefined
}

/** @throws {AttestationFetchError} the policy demands NVIDIA's verdict, and its keys cannot be fetched */
export async function deviceFindings (
  document: ParsedAttestation, policy: AttestationPolicy, context: VerifierContext
): Promise<DeviceFindings> {
  const wanted = policy.devices?.nvidia
  const { devices, nonce, keys, claims } = document
  if (!wanted) {
    return {
      checks: devices.length === 0
        ? []
        : [skipped('devices', 'The document has evidence of devices, which the policy does not ask for')]
    }
  }
  const [request, ...more] = devices.filter(([type]) => type === MEDIA_TYPES.nvidiaEvidence)
  const [answer] = devices.filter(([type]) => type === MEDIA_TYPES.nvidiaAnswer)
  if (!request || more.length > 0) {
    return { checks: [check('gpu-evidence', false, 'The document does not have one piece of evidence of NVIDIA GPUs')] }
  }
  return appraiseNvidia(request[1], {
    nonce: toHex(await deviceNonce(nonce, keys, claims)),
    policy: wanted,
    now: context.now,
    clockToleranceSeconds: context.clockToleranceSeconds,
    ...context.options.devices?.nvidia,
    ...wanted.appraisal === 'nras' && answer && { answer: answer[1], keySet: await keySet(context) }
  })
}

async function keySet ({ options: { keySets = {} }, fetch }: VerifierContext): Promise<unknown> {
  return Object.hasOwn(keySets, NRAS_ISSUER) ? keySets[NRAS_ISSUER] : fetchJson(fetch, NRAS_KEYS_URL)
}
