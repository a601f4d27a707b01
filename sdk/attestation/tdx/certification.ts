/**
 * Who made a quote: the platform's chain to Intel's root, the quoting enclave's report, and the quote's own signature.
 */
import { concat } from '../../../lib/protocols/bytes.ts'
import { isZero, sameBytes, toHex } from '../bytes.ts'
import type { Bytes } from '../../../lib/protocols/bytes.ts'
import { sha256 } from '../../../lib/protocols/attestation.ts'
import { check, skipped } from '../checks.ts'
import type { Check } from '../checks.ts'
import type { VerifierContext } from '../context.ts'
import { isChain, isValidAt, lastDays } from '../x509/certificate.ts'
import type { ParsedCertificate } from '../x509/certificate.ts'
import { certificatesOfPem } from '../x509/pem.ts'
import { readPlatformCertificate } from './pck.ts'
import type { PlatformCertificate } from './pck.ts'
import type { TdxQuote } from './quote.ts'

/** SHA-256 of the SubjectPublicKeyInfo of Intel's root key ("Intel SGX Root CA"). */
export const INTEL_ROOT = 'a0af031289f5d5d4132f9186068a7fc13628633ba235777472e29b6b6c67a49e'

/** The authorities that certify platforms, and what Intel's service calls them. */
const AUTHORITIES = { 'Intel SGX PCK Platform CA': 'platform', 'Intel SGX PCK Processor CA': 'processor' } as const

/** A platform whose certificate was verified. */
export interface Certified {
  readonly chain: readonly [leaf: ParsedCertificate, issuer: ParsedCertificate, root: ParsedCertificate]
  readonly platform: PlatformCertificate
  readonly ca: 'platform' | 'processor'
}

/** `certified` is there only if every check passed. */
export async function certificationChecks (
  context: VerifierContext,
  quote: TdxQuote
): Promise<{ checks: Check[]; certified: Certified | undefined }> {
  let certified: Certified
  try {
    certified = readChain(quote)
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'malformed'
    return {
      checks: [
        check('certificate-chain', false, `The quote's certificates cannot be read: ${reason}`),
        skipped('quote', 'Not looked at without a certified key')
      ],
      certified: undefined
    }
  }
  const { chain } = certified
  const rootHash = toHex(await sha256(chain[2].spki))
  const roots = context.options.platforms?.tdx?.roots ?? [INTEL_ROOT]
  const known = roots.includes(rootHash)
  const whole = (await isChain(chain)) && !chain[0].authority
  const checks = [
    check(
      'root',
      known,
      known ? 'The chain ends in a trusted root key' : `The chain ends in an unknown root, SHA-256 ${rootHash}`
    ),
    check(
      'certificate-chain',
      whole,
      whole
        ? 'Each key certifies the next: root, authority, platform'
        : 'The chain is broken: root, authority, platform'
    ),
    check(
      'certificate-validity',
      chain.every(certificate => isValidAt(certificate, context.now)),
      `The certificates are for use until ${lastDays(chain)}`
    ),
    await quoteCheck(quote, chain[0])
  ]
  return { checks, certified: checks.every(({ outcome }) => outcome === 'passed') ? certified : undefined }
}

/** @throws the chain has another form than Intel gives it */
function readChain ({ certificates }: TdxQuote): Certified {
  const [leaf, issuer, root, ...more] = certificatesOfPem(certificates)
  if (!leaf || !issuer || !root || more.length > 0) throw new RangeError('three certificates are expected')
  const { commonName = '' } = issuer
  const ca = Object.hasOwn(AUTHORITIES, commonName) ? AUTHORITIES[commonName as keyof typeof AUTHORITIES] : undefined
  if (ca === undefined) throw new RangeError('the issuer is no authority that certifies platforms')
  return { chain: [leaf, issuer, root], platform: readPlatformCertificate(leaf), ca }
}

/** The platform's key signs the quoting enclave's report, which names the key that signs the quote. */
async function quoteCheck (
  { qe, attestationKey, signature, signed }: TdxQuote,
  leaf: ParsedCertificate
): Promise<Check> {
  const name = 'quote'
  const failed = (detail: string) => check(name, false, detail)
  const platformKey = await importKey('spki', leaf.spki)
  if (!platformKey) return failed("The platform's key is not one of ECDSA P-256")
  if (!(await verify(platformKey, qe.signature, qe.report))) {
    return failed("The quoting enclave's report is not signed by the platform's key")
  }
  const hash = await sha256(concat(attestationKey, qe.authenticationData))
  if (!sameBytes(qe.reportData.subarray(0, 32), hash) || !isZero(qe.reportData.subarray(32))) {
    return failed("The quoting enclave's report is about another attestation key")
  }
  const key = await importKey('raw', concat(Uint8Array.of(4), attestationKey))
  if (!key || !(await verify(key, signature, signed))) return failed('The quote is not signed by the attestation key')
  return check(name, true, "The quote is signed by a key that the platform's quoting enclave vouches for")
}

async function importKey (format: 'spki' | 'raw', bytes: Bytes) {
  try {
    return await crypto.subtle.importKey(format, bytes, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['verify'])
  } catch {
    // Not a point of the curve.
    return undefined
  }
}

async function verify (
  key: Parameters<typeof crypto.subtle.verify>[1],
  signature: Bytes,
  data: Bytes
): Promise<boolean> {
  return crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, signature, data)
}
