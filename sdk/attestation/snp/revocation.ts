/** AMD's revocation lists, from wherever they come: the root key signs them. */
import { MEDIA_TYPES } from '../../../lib/protocols/attestation.ts'
import { decodeBase64url } from '../../../lib/protocols/base64url.ts'
import { check, skipped } from '../checks.ts'
import type { Check } from '../checks.ts'
import type { VerifierContext } from '../context.ts'
import { fetchAnswer } from '../http.ts'
import { faultOfList, parseRevocationList } from '../x509/revocation.ts'
import type { SnpChain } from './chain.ts'
import type { SnpPolicy } from './policy.ts'
import type { SnpProduct, SnpReport } from './report.ts'

const NAME = 'revocation'
const SERVICE = 'https://kdsintf.amd.com'
const MAX_BYTES = 256 * 1024

/** @throws {AttestationFetchError} the policy wants AMD to be asked, and AMD cannot be reached */
export async function revocationCheck (
  context: VerifierContext,
  policy: SnpPolicy,
  report: SnpReport,
  chain: SnpChain,
  product: SnpProduct
): Promise<Check> {
  const lists = givenLists(context, policy)
  if (lists.length === 0 && policy.revocation === 'fetch') {
    const url = `${SERVICE}/${report.signingKey === 1 ? 'vlek' : 'vcek'}/v1/${product}/crl`
    lists.push((await fetchAnswer(context.fetch, url, MAX_BYTES)).body)
  }
  if (lists.length === 0) {
    const detail = "No revocation list of AMD's was given"
    return policy.revocation === 'required'
      ? check(NAME, false, `${detail}, and the policy requires one`)
      : skipped(NAME, `Not checked: ${detail.charAt(0).toLowerCase()}${detail.slice(1)}`)
  }
  const faults = (await Promise.all(lists.map(list => faultOf(list, context, policy, chain)))).filter(
    fault => fault !== undefined
  )
  return check(
    NAME,
    faults.length === 0,
    faults.length === 0 ? 'AMD has revoked none of the certificates' : `The revocation list ${faults.join('; ')}`
  )
}

function givenLists ({ endorsements, options }: VerifierContext, { revocationLists = [] }: SnpPolicy): Uint8Array[] {
  const none = new Uint8Array()
  return [
    ...(options.platforms?.['sev-snp']?.revocationLists ?? []),
    ...revocationLists.map(base64 => Uint8Array.from(atob(base64), character => character.charCodeAt(0))),
    // What cannot be decoded is a list that cannot be believed, not the absence of one.
    ...endorsements
      .filter(([type]) => type === MEDIA_TYPES.revocationList)
      .map(([, value]) => decodeBase64url(value) ?? none)
  ]
}

async function faultOf (
  der: Uint8Array,
  { now, clockToleranceSeconds }: VerifierContext,
  policy: SnpPolicy,
  chain: SnpChain
): Promise<string | undefined> {
  try {
    const list = parseRevocationList(der)
    const stale = policy.allowStaleRevocationLists === true && list.nextUpdate < now
    const fault = await faultOfList(list, chain[2], stale ? list.nextUpdate : now, clockToleranceSeconds)
    if (fault !== undefined) return fault
    // The root's list is about what the root issued. A chip's serial number in it can only be meant for the chip.
    const revoked = chain.find(({ serialNumber }) => list.revoked.has(serialNumber))
    return revoked && `names the certificate of ${revoked.commonName ?? 'an unnamed key'}`
  } catch {
    return 'cannot be read'
  }
}
