/** Whose key signed a report: AMD's root key, AMD's signing key, the key of the chip or of the cloud provider. */
import { sha256 } from '../../../lib/protocols/attestation.ts'
import { isZero, sameBytes, toHex } from '../bytes.ts'
import { check, show } from '../checks.ts'
import type { Check } from '../checks.ts'
import type { VerifierContext } from '../context.ts'
import type { ParsedCertificate } from '../x509/certificate.ts'
import type { SnpTcb } from './policy.ts'
import type { SnpProduct, SnpReport } from './report.ts'
import { TCB_EXTENSIONS, TCB_LAYOUT } from './tcb.ts'

/** SHA-256 of the SubjectPublicKeyInfo of AMD's root keys (ARK). */
export const AMD_ROOTS: Readonly<Record<string, SnpProduct>> = {
  '9f056bee44377e29308cb5ffa895bdfb62d18881fa6bed8d6f075b0204089cb9': 'Milan',
  '429a69c9422aa258ee4d8db5fcda9c6470ef15f8cd5a9cebd6cbc7d90b863831': 'Genoa',
  '4f125410563a2ab9a50356f9243f6fe0b6f73de98603f53f90339c70e9d7ad08': 'Turin'
}

/** By the number that reports have: the chip's own key, and the provider's. */
const KEY_NAMES = ['SEV-VCEK', 'SEV-VLEK']
/** AMD 57230, "VCEK Certificate and KDS Interface Specification". */
const HARDWARE_ID = '1.3.6.1.4.1.3704.1.4'

export type SnpChain = readonly [leaf: ParsedCertificate, intermediate: ParsedCertificate, root: ParsedCertificate]

/** The chain of the kind of key that the report names, from certificates in any order. */
export function findChain (report: SnpReport, certificates: readonly ParsedCertificate[]): SnpChain | undefined {
  const leaves = certificates.filter(certificate => !certificate.authority)
  const leaf = leaves.find(({ commonName }) => commonName === KEY_NAMES[report.signingKey]) ?? leaves[0]
  const intermediate = leaf && certificates.find(({ subject }) => sameBytes(subject, leaf.issuer))
  const root = intermediate && certificates.find(({ subject }) => sameBytes(subject, intermediate.issuer))
  return leaf && intermediate && root && [leaf, intermediate, root]
}

/** The product that a root vouches for, if it is trusted. */
export async function rootOf (
  [, , root]: SnpChain,
  { options }: VerifierContext
): Promise<{ product: SnpProduct | undefined; hash: string }> {
  const hash = toHex(await sha256(root.spki))
  const roots = options.platforms?.['sev-snp']?.roots ?? options.amdRoots ?? AMD_ROOTS
  return { product: Object.hasOwn(roots, hash) ? roots[hash] : undefined, hash }
}

/**
 * The key belongs to this chip in this state of its firmware: a key of an older, broken firmware cannot speak for a
 * newer one.
 */
export function leafCheck (report: SnpReport, leaf: ParsedCertificate, product: SnpProduct): Check {
  const name = 'certificate-matches-report'
  const kind = KEY_NAMES[report.signingKey]
  if (kind === undefined || leaf.commonName !== kind) {
    return check(
      name,
      false,
      `The report names signing key ${report.signingKey}, the certificate is for ${show(leaf.commonName)}`
    )
  }
  const certified = certifiedTcb(leaf, product)
  for (const [part, at] of TCB_LAYOUT[product]) {
    if (certified[part] !== report.reportedTcb[at]) {
      return check(
        name,
        false,
        `TCB part ${part}: the report says ${report.reportedTcb[at]}, the certificate ${show(certified[part])}`
      )
    }
  }
  const certifiedChip = leaf.extensions.get(HARDWARE_ID)
  if (kind === 'SEV-VLEK') {
    return check(
      name,
      certifiedChip === undefined,
      "The certificate is for the provider's key at the TCB version of the report"
    )
  }
  const length = product === 'Turin' ? 8 : 64
  const sameChip =
    certifiedChip !== undefined &&
    sameBytes(certifiedChip, report.chipId.subarray(0, length)) &&
    isZero(report.chipId.subarray(length)) &&
    !isZero(report.chipId)
  return check(
    name,
    sameChip,
    sameChip
      ? 'The certificate is for this chip at the TCB version of the report'
      : 'The certificate is for another chip'
  )
}

/** What AMD certified, part by part: the only patch level that is proven. */
export function certifiedTcb (leaf: ParsedCertificate, product: SnpProduct): SnpTcb {
  return Object.fromEntries(
    TCB_LAYOUT[product].flatMap(([part]) => {
      const value = smallInteger(leaf.extensions.get(TCB_EXTENSIONS[part]))
      return value === undefined ? [] : [[part, value]]
    })
  )
}

/** DER INTEGER from 0 to 255. */
function smallInteger (der: Uint8Array | undefined): number | undefined {
  const [tag, length, first, second] = der ?? []
  if (der === undefined || tag !== 2) return undefined
  if (der.length === 3 && length === 1 && first !== undefined && first < 0x80) return first
  if (der.length === 4 && length === 2 && first === 0 && second !== undefined && second >= 0x80) return second
  return undefined
}
