/**
 * Appraises GPUs by their evidence alone: that genuine GPUs signed it for this nonce, which they are, and which driver
 * and VBIOS they run. What was measured is not compared with NVIDIA's reference values: only NRAS does that.
 */
import { check, oneOfCheck, skipped } from '../checks.ts'
import type { Check } from '../checks.ts'
import { toHex } from '../bytes.ts'
import { NVIDIA_ROOT, chainFault, chipOf, isSignedBy, namesFirmware } from './certificates.ts'
import type { NvidiaPolicy } from './policy.ts'
import type { Gpu, GpuRequest } from './request.ts'
import { GpuEvidenceError } from './spdm.ts'

export interface LocalOptions {
  /** What the GPUs must answer: 64 hexadecimal digits. */
  readonly nonce: string
  readonly now: Date
  readonly policy: NvidiaPolicy
  /** Instead of NVIDIA's: SHA-256 of the root certificate, DER, in hexadecimal. */
  readonly root?: string | undefined
}

/** Every check looks at all GPUs, and its detail names those that fail it. */
export async function checkGpus ({ gpus, nonce: announced }: GpuRequest, options: LocalOptions): Promise<Check[]> {
  const { policy, now, root = NVIDIA_ROOT } = options
  const nonce = options.nonce.toLowerCase()
  const read = readable(gpus)
  const chains = await Promise.all(
    gpus.map(gpu => gpu instanceof GpuEvidenceError ? undefined : chainFault(gpu.chain, now, root))
  )
  const signed = await Promise.all(gpus.map(gpu => !(gpu instanceof GpuEvidenceError) && isSigned(gpu)))
  const chips = read.map(({ chain }) => chipOf(chain))
  const presented = values(read)
  return [
    each(
      'gpu-evidence', gpus, gpu => gpu instanceof GpuEvidenceError ? gpu.message : undefined, 'Well-formed evidence'
    ),
    each('gpu-certificates', gpus, (_, i) => chains[i], 'Certificates of NVIDIA\'s up to its root'),
    each('gpu-signature', gpus, (gpu, i) => gpu instanceof GpuEvidenceError || signed[i]
      ? undefined
      : 'its certificate\'s key did not sign it',
    'Signed by the keys of the certificates'),
    check('gpu-nonce', announced === nonce && read.every(({ evidence }) => toHex(evidence.nonce) === nonce),
      'The evidence answers the nonce that was asked'),
    each('gpu-firmware', gpus, gpu => gpu instanceof GpuEvidenceError ? undefined : firmwareFault(gpu),
      'The firmware is the one that the certificates name'),
    check('gpu-distinct', new Set(read.map(identity)).size === read.length, `${gpus.length} GPUs, each of them once`),
    policy.count === undefined
      ? skipped('gpu-count', `${gpus.length} GPUs; the policy accepts any number`)
      : check('gpu-count', gpus.length === policy.count, `${gpus.length} GPUs, ${policy.count} are expected`),
    chips.includes(undefined)
      ? check('gpu-model', false, 'A certificate is not the one of a GPU')
      : every('gpu-model', 'The model', policy.models, chips as string[]),
    every('gpu-driver', 'The driver version', policy.drivers, presented.drivers),
    every('gpu-vbios', 'The VBIOS version', policy.vbios?.map(version => version.toUpperCase()), presented.vbios)
  ]
}

/** The policy that these GPUs satisfy. */
export function presentedGpus ({ gpus }: GpuRequest): NvidiaPolicy {
  const read = readable(gpus)
  const models = read.map(({ chain }) => chipOf(chain)).filter(chip => chip !== undefined)
  const { drivers, vbios } = values(read)
  return {
    count: gpus.length, models: [...new Set(models)], drivers: [...new Set(drivers)], vbios: [...new Set(vbios)]
  }
}

/** Those whose evidence could be read. */
function readable (gpus: GpuRequest['gpus']): Gpu[] {
  return gpus.filter((gpu): gpu is Gpu => !(gpu instanceof GpuEvidenceError))
}

function values (gpus: readonly Gpu[]) {
  return { drivers: gpus.map(({ evidence }) => evidence.driver), vbios: gpus.map(({ evidence }) => evidence.vbios) }
}

/** The chip: its own key, which outlives its firmware's. */
function identity ({ chain }: Gpu): string {
  return toHex(chain[1]?.spki ?? new Uint8Array())
}

async function isSigned ({ evidence, chain }: Gpu): Promise<boolean> {
  const [leaf] = chain
  return leaf !== undefined && isSignedBy(leaf, evidence.signature, evidence.signed)
}

function firmwareFault ({ evidence: { firmwareId }, chain }: Gpu): string | undefined {
  const [leaf] = chain
  if (!firmwareId) return 'it does not say which firmware runs'
  return leaf && namesFirmware(leaf, firmwareId) ? undefined : 'its certificate names another firmware'
}

function each (
  name: string, gpus: GpuRequest['gpus'], fault: (gpu: Gpu | GpuEvidenceError, i: number) => string | undefined,
  detail: string
): Check {
  const faults = gpus.flatMap((gpu, i) => fault(gpu, i) === undefined ? [] : [`GPU ${i}: ${fault(gpu, i)}`])
  return check(name, faults.length === 0, faults.length === 0 ? detail : faults.join('; '))
}

/** oneOfCheck of all: the first value that is not accepted, or the only one there is. */
function every (
  name: string, subject: string, accepted: readonly string[] | undefined, presented: readonly string[]
): Check {
  const different = [...new Set(presented)]
  if (different.length === 0) return check(name, false, `${subject} is unknown: no evidence could be read`)
  const odd = different.find(value => accepted && !accepted.includes(value))
  if (odd !== undefined || different.length === 1) return oneOfCheck(name, subject, accepted, odd ?? different[0])
  return accepted
    ? check(name, true, `${subject} is one of ${different.join(', ')}`)
    : skipped(name, `${subject} is one of ${different.join(', ')}; the policy accepts any`)
}
