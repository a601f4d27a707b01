/**
 * Azure's endorsement of the utility VM of confidential containers: a COSE_Sign1 in which Microsoft says which launch
 * measurement its utility VM has. It authenticates itself, so its source need not be trusted.
 *
 * Header: 1 PS384, 33 the certificates, leaf first; issuer and feed as `iss` and `feed`, or in the CWT claims (15) as 1
 * and 2. Payload: JSON with the launch measurement and the security version.
 */
import { MEDIA_TYPES } from '../../../lib/protocols/attestation.ts'
import { decodeBase64url } from '../../../lib/protocols/base64url.ts'
import { toHex } from '../bytes.ts'
import { check, show, skipped } from '../checks.ts'
import type { Check } from '../checks.ts'
import type { VerifierContext } from '../context.ts'
import { didFault } from '../cose/did-x509.ts'
import { CoseError, isSignedWith, parseSign1 } from '../cose/sign1.ts'
import type { Headers, Sign1 } from '../cose/sign1.ts'
import { parseCertificate } from '../x509/certificate.ts'
import type { ParsedCertificate } from '../x509/certificate.ts'
import type { UtilityVmPolicy } from './policy.ts'
import type { SnpReport } from './report.ts'

export const MICROSOFT_UVM_ISSUER =
  'did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::eku:1.3.6.1.4.1.311.76.59.1.2'
export const MICROSOFT_UVM_FEED = 'ContainerPlat-AMD-UVM'

const CWT_CLAIMS = 15
const X5CHAIN = 33
const [CWT_ISSUER, CWT_SUBJECT, CWT_ISSUED_AT] = [1, 2, 6]
const MAX_CERTIFICATES = 6
const MEASUREMENT = 'x-ms-sevsnpvm-launchmeasurement'
const SVN = 'x-ms-sevsnpvm-guestsvn'

/** What an endorsement says. To be believed once `utilityVmCheck` has passed. */
interface Endorsement {
  readonly object: Sign1
  readonly chain: readonly ParsedCertificate[]
  readonly issuer: unknown
  readonly feed: unknown
  /** Of the endorsement, or else of the certificate that signed it. */
  readonly issuedAt: Date
  readonly measurement: string
  readonly svn: number
}

export interface UtilityVm {
  readonly check: Check
  /** The version that was endorsed, if the check passed by Microsoft's issuer and feed. */
  readonly svn?: number
}

/** The check `utility-vm`, or nothing if neither policy nor document have to do with one. */
export async function utilityVm (
  { endorsements }: VerifierContext, policy: UtilityVmPolicy | undefined, report: SnpReport
): Promise<UtilityVm | undefined> {
  const objects = endorsements.filter(([type]) => type === MEDIA_TYPES.cose)
  const [only] = objects
  if (!policy && !only) return undefined
  const endorsement = only && objects.length === 1 ? read(only[1]) : undefined
  const fault = endorsement && await faultOf(endorsement, policy ?? {}, report)
  const svn = endorsement && fault === undefined ? endorsement.svn : undefined
  if (!policy) {
    const detail = svn === undefined
      ? 'it does not endorse this launch'
      : `Microsoft endorses this launch as its utility VM ${svn}`
    return {
      check: skipped('utility-vm', `The policy asks for no endorsement of the utility VM; ${detail}`),
      ...svn !== undefined && { svn }
    }
  }
  if (!endorsement) {
    return {
      check: check('utility-vm', false, 'The document does not have one endorsement of the utility VM that can be read')
    }
  }
  return fault === undefined
    ? {
        check: check(
          'utility-vm', true,
          `The launch is that of the utility VM ${endorsement.svn}, as ${show(endorsement.issuer)} endorses`
        ),
        svn: endorsement.svn
      }
    : { check: check('utility-vm', false, `The endorsement of the utility VM is refused: ${fault}`) }
}

async function faultOf (
  endorsement: Endorsement, policy: UtilityVmPolicy, report: SnpReport
): Promise<string | undefined> {
  const { object, chain, issuer, feed, issuedAt, measurement, svn } = endorsement
  const { issuers = [MICROSOFT_UVM_ISSUER], feeds = [MICROSOFT_UVM_FEED], minimumSvn = 0 } = policy
  const accepted = issuers.find(candidate => candidate === issuer)
  if (accepted === undefined) return `its issuer is ${show(issuer)}`
  const fault = await didFault(accepted, chain, issuedAt)
  if (fault !== undefined) return fault
  const [leaf] = chain
  if (!leaf || !await isSignedWith(object, leaf.spki)) return 'its issuer did not sign it'
  if (!feeds.some(candidate => candidate === feed)) return `its feed is ${show(feed)}`
  if (measurement !== toHex(report.measurement)) return 'it is about another launch measurement'
  if (svn < minimumSvn) return `its security version is ${svn}, at least ${minimumSvn} is expected`
  return undefined
}

/** @returns undefined if it is none, in any respect */
function read (base64url: string): Endorsement | undefined {
  const bytes = decodeBase64url(base64url)
  try {
    return bytes && readEndorsement(bytes)
  } catch (error) {
    if (error instanceof CoseError) return undefined
    throw error
  }
}

function readEndorsement (bytes: Uint8Array): Endorsement | undefined {
  const object = parseSign1(bytes)
  const { headers } = object
  const claims = headers.get(CWT_CLAIMS)
  const cwt: Headers = claims instanceof Map ? claims : new Map()
  const chain = readChain(headers.get(X5CHAIN))
  const payload = readPayload(object.payload)
  const [leaf] = chain ?? []
  if (!chain || !leaf || !payload) return undefined
  return {
    object,
    chain,
    ...payload,
    issuer: same(headers.get('iss'), cwt.get(CWT_ISSUER)),
    feed: same(headers.get('feed'), cwt.get(CWT_SUBJECT)),
    issuedAt: timeOf(cwt.get(CWT_ISSUED_AT) ?? headers.get('signingtime')) ?? leaf.notBefore
  }
}

/** Of two places for one thing: what they agree on, or the only one that is there. */
function same (one: unknown, other: unknown): unknown {
  return one === undefined || other === undefined || one === other ? one ?? other : undefined
}

function timeOf (seconds: unknown): Date | undefined {
  return typeof seconds === 'number' && Math.abs(seconds) < 8e12 ? new Date(seconds * 1000) : undefined
}

function readChain (value: unknown): ParsedCertificate[] | undefined {
  if (!Array.isArray(value) || value.length > MAX_CERTIFICATES) return undefined
  try {
    return value.map(der => {
      if (!(der instanceof Uint8Array)) throw new TypeError('not bytes')
      return parseCertificate(der)
    })
  } catch {
    // Whatever the parser says: these are no certificates.
    return undefined
  }
}

function readPayload (bytes: Uint8Array): { readonly measurement: string, readonly svn: number } | undefined {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { [MEASUREMENT]: measurement, [SVN]: svn } = value as Record<string, unknown>
  if (typeof measurement !== 'string' || !/^[\da-fA-F]{96}$/.test(measurement)) return undefined
  const version = typeof svn === 'string' && /^\d{1,9}$/.test(svn) ? Number(svn) : svn
  if (!Number.isSafeInteger(version) || Number(version) < 0) return undefined
  return { measurement: measurement.toLowerCase(), svn: Number(version) }
}
