/** Keys that the proxy proves: nothing is encrypted to a key that attestation evidence does not cover. */
import type { Verdict } from '../../attestation/checks.ts'
import type { VerifyOptions } from '../../attestation/context.ts'
import { parseAttestationPolicy } from '../../attestation/policy.ts'
import type { AttestationPolicy } from '../../attestation/policy.ts'
import type { AttestationRecord } from '../attestation.ts'
import type { Clock } from '../clock.ts'
import { PolarisFetchError } from '../errors.ts'
import type { AnyKeyKind } from '../../../lib/protocols/attestation.ts'
import type { ProxyAddress, PublishedKeys } from './published.ts'

export interface AttestationOptions extends Omit<VerifyOptions, 'nonce'> {
  readonly policy: AttestationPolicy
  /** How long a proof counts, in seconds; then a new one is asked for. 600 if left out. */
  readonly maxAge?: number
  /** Told of each verdict, before anything is encrypted or refused, for logs. */
  readonly onVerdict?: (verdict: Verdict) => void
  /**
   * Told why, whenever the proxy could not prove its keys again after it had: it was refused, or could not be checked.
   * Until it can, nothing is sent.
   */
  readonly onRenewalFailure?: (error: unknown) => void
}

/** With what asks for the evidence, if not everything that is fetched from the proxy. */
export interface EvidenceAddress extends ProxyAddress {
  readonly evidence?: typeof globalThis.fetch
}

/** A KeySource of keys of any kind. */
export type AttestedSource = (proxy: EvidenceAddress, kind: AnyKeyKind) => Promise<PublishedKeys>

/** A clock that is further off than this is not corrected: its user has to set it. */
const MAX_CORRECTION_MS = 24 * 3600_000
/** How far the gateway's Date may be from the time that its evidence proves. */
const AGREEMENT_MS = 60_000

/**
 * The proxy has to prove its keys before the first request, whenever they change and whenever the last proof is too
 * old. While it cannot, every request fails, with AttestationError, AttestationFetchError or AttestationDocumentError.
 *
 * @param clock if it follows the gateway, is corrected by its Date, provided that the evidence proves that time
 * @throws {AttestationPolicyError} the policy is malformed, or pins nothing
 */
export function attestedKeys (
  attestation: AttestationPolicy | AttestationOptions,
  clock: Clock,
  record: AttestationRecord
): AttestedSource {
  const { policy, maxAge = 600, onVerdict, onRenewalFailure: _, ...options } = optionsOf(attestation)
  parseAttestationPolicy(policy, options.verifiers)
  return async (proxy, kind) => {
    const asked = Date.now()
    try {
      const keys = await prove(proxy, kind)
      record.proven(asked + maxAge * 1000)
      return keys
    } catch (error) {
      record.failed(error)
      throw error
    }
  }

  async function prove ({ baseURL, fetch, evidence }: EvidenceAddress, kind: AnyKeyKind): Promise<PublishedKeys> {
    const { AttestationError, fetchAttestation, verifyAttestation } = await verifiers()
    const asked = { date: undefined as Date | undefined, offset: 0 }
    const { document, nonce } = await fetchAttestation(baseURL, noting(evidence ?? options.fetch ?? fetch, asked))
    const verify = (now = options.now) => verifyAttestation(
      document, policy, { fetch, ...options, nonce, ...now && { now } }
    )
    const verdict = clock.follows ? await correct(clock, asked, verify) : await verify()
    record.judged(verdict)
    onVerdict?.(verdict)
    if (!verdict.verified) throw new AttestationError(verdict)
    const octets = verdict.keys.find(key => key.kind === kind)?.value
    if (octets === undefined) {
      throw new PolarisFetchError(
        'ERR_POLARIS_NO_USABLE_KEY', `The proxy proves no keys of the kind ${kind}: this protocol is not enabled there`
      )
    }
    return { octets, maxAge }
  }
}

export function optionsOf (attestation: AttestationPolicy | AttestationOptions): AttestationOptions {
  return 'policy' in attestation ? attestation : { policy: attestation }
}

interface Noted {
  /** The Date of the answer, if it can be read. */
  date: Date | undefined
  /** How far that is ahead of this machine's clock, in milliseconds. */
  offset: number
}

/** A fetch that notes the Date of what answers, and how far it is from the clock here, halfway through the exchange. */
function noting (fetch: typeof globalThis.fetch, noted: Noted): typeof globalThis.fetch {
  return async (input, init) => {
    const sent = Date.now()
    const response = await fetch(input, init)
    const time = Date.parse(response.headers.get('date') ?? '')
    if (!Number.isNaN(time)) {
      Object.assign(noted, { date: new Date(time), offset: Math.round(time + 500 - (sent + Date.now()) / 2) })
    }
    return response
  }
}

/**
 * Anybody on the way can write a Date, and a false one could make stale evidence look current, or let a request be held
 * back and delivered later. So it counts only if the evidence holds a time by its issuer that agrees: such evidence
 * answers this client's nonce, which makes its time the present. Otherwise this machine's clock counts.
 */
async function correct (
  clock: Clock, { date, offset }: Noted, verify: (now?: Date) => Promise<Verdict>
): Promise<Verdict> {
  clock.correct(0)
  if (date === undefined || Math.abs(offset) > MAX_CORRECTION_MS) return verify()
  const verdict = await verify(date)
  const proven = verdict.verified ? verdict.issuedAt : undefined
  if (proven === undefined || Math.abs(proven.getTime() - date.getTime()) > AGREEMENT_MS) return verify()
  clock.correct(offset)
  return verdict
}

/** A file of their own, larger than all the rest, for users of attestation. */
async function verifiers () {
  try {
    return await import('../../attestation/index.ts')
  } catch (cause) {
    throw new PolarisFetchError(
      'ERR_POLARIS_KEYS_UNAVAILABLE', 'The attestation verifier cannot be loaded. Nothing was sent', { cause }
    )
  }
}
