/**
 * Appraises a raw SEV-SNP report: signature by the chip's or the provider's key, that key's chain to AMD's root, and
 * then what the report says, against the policy.
 */
import { MEDIA_TYPES, reportData, sha256 } from '../../lib/protocols/attestation.ts'
import type { TypedValue } from '../../lib/protocols/attestation.ts'
import { decodeBase64url } from '../../lib/protocols/base64url.ts'
import { check, oneOfCheck, show, skipped } from './checks.ts'
import type { Check, Findings } from './checks.ts'
import { hardwareFreshness } from './context.ts'
import type { VerifierContext } from './context.ts'
import type { SnpPolicy, SnpTcb } from './policy.ts'
import { isZero, parseSnpReport } from './snp-report.ts'
import type { SnpProduct, SnpReport } from './snp-report.ts'
import { isIssuedBy, isValidAt, parseCertificate, sameOctets, toHex } from './x509.ts'
import type { ParsedCertificate } from './x509.ts'

/** SHA-256 of the SubjectPublicKeyInfo of AMD's root keys (ARK). */
export const AMD_ROOTS: Readonly<Record<string, SnpProduct>> = {
  '9f056bee44377e29308cb5ffa895bdfb62d18881fa6bed8d6f075b0204089cb9': 'Milan',
  '429a69c9422aa258ee4d8db5fcda9c6470ef15f8cd5a9cebd6cbc7d90b863831': 'Genoa',
  '4f125410563a2ab9a50356f9243f6fe0b6f73de98603f53f90339c70e9d7ad08': 'Turin'
}

/** Object identifiers of AMD's certificate extensions (AMD 57230, "VCEK Certificate and KDS Interface Specification"). */
const TCB_EXTENSIONS: Record<keyof SnpTcb, string> = {
  bootloader: '1.3.6.1.4.1.3704.1.3.1',
  tee: '1.3.6.1.4.1.3704.1.3.2',
  snp: '1.3.6.1.4.1.3704.1.3.3',
  microcode: '1.3.6.1.4.1.3704.1.3.8',
  fmc: '1.3.6.1.4.1.3704.1.3.9'
}
/** By the number that reports have: the chip's own key, and the provider's. */
const KEY_NAMES = ['SEV-VCEK', 'SEV-VLEK']
const HARDWARE_ID = '1.3.6.1.4.1.3704.1.4'

/** Where each part stands in the 8 octets of a TCB version. */
const TCB_LAYOUT: Record<SnpProduct, Array<[part: keyof SnpTcb, at: number]>> = {
  Milan: [['bootloader', 0], ['tee', 1], ['snp', 6], ['microcode', 7]],
  Genoa: [['bootloader', 0], ['tee', 1], ['snp', 6], ['microcode', 7]],
  Turin: [['fmc', 0], ['bootloader', 1], ['tee', 2], ['snp', 3], ['microcode', 7]]
}

export async function verifySevSnp (context: VerifierContext, policy: SnpPolicy): Promise<Findings> {
  const { document, options } = context
  let report: SnpReport
  let certificates: ParsedCertificate[]
  try {
    report = parseSnpReport(soleEvidence(document.evidence))
    certificates = document.endorsements.filter(([type]) => type === MEDIA_TYPES.certificate).map(([, value]) => parseCertificate(octets(value)))
  } catch (error) {
    return { checks: [check('report', false, `The evidence cannot be read: ${error instanceof Error ? error.message : 'malformed'}`)], presented: {} }
  }
  const leaves = certificates.filter(certificate => !certificate.authority)
  const leaf = leaves.find(({ commonName }) => commonName === KEY_NAMES[report.signingKey]) ?? leaves[0]
  const intermediate = leaf && certificates.find(({ subject }) => sameOctets(subject, leaf.issuer))
  const root = intermediate && certificates.find(({ subject }) => sameOctets(subject, intermediate.issuer))
  if (!leaf || !intermediate || !root) {
    return { checks: [check('certificate-chain', false, 'The endorsements hold no chain of key, AMD signing key and AMD root key')], presented: {} }
  }
  const rootHash = toHex(await sha256(root.spki))
  const roots = options.amdRoots ?? AMD_ROOTS
  const product = Object.hasOwn(roots, rootHash) ? roots[rootHash] : undefined
  return {
    checks: [
      check('report', report.signatureAlgorithm === 1, `A report of version ${report.version}, signature algorithm ${report.signatureAlgorithm}`),
      check('root', product !== undefined, product ? `The chain ends in AMD's root key for ${product}` : `The chain ends in an unknown root, SHA-256 ${rootHash}`),
      check('certificate-chain', await isChain([leaf, intermediate, root]), 'Each key certifies the next: AMD root key, AMD signing key, report signing key'),
      check('certificate-validity', [leaf, intermediate, root].every(certificate => isValidAt(certificate, context.now)),
        `The certificates are for use until ${[leaf, intermediate, root].map(({ notAfter }) => notAfter.toISOString().slice(0, 10)).join(', ')}`),
      await signatureCheck(report, leaf),
      ...contentChecks(context, policy, report),
      ...product ? productChecks(policy, report, leaf, product) : [skipped('product', 'Not looked at without a known root')]
    ],
    presented: {
      'sev-snp': {
        measurements: [toHex(report.measurement)],
        hostData: [toHex(report.hostData)],
        minimumGuestSvn: report.guestSvn,
        ...product && { products: [product], minimumTcb: tcbOf(report, product) }
      }
    }
  }
}

/** What can be read only where the root says which product this is. */
function productChecks (policy: SnpPolicy, report: SnpReport, leaf: ParsedCertificate, product: SnpProduct): Check[] {
  return [
    leafCheck(report, leaf, product),
    oneOfCheck('product', 'The product', policy.products, product),
    tcbCheck(report, product, policy.minimumTcb)
  ]
}

function soleEvidence (evidence: readonly TypedValue[]) {
  const reports = evidence.filter(([type]) => type === MEDIA_TYPES.snpReport)
  const [first] = reports
  if (!first || reports.length > 1) throw new RangeError('one report is expected')
  return octets(first[1])
}

function octets (value: string) {
  const decoded = decodeBase64url(value)
  if (!decoded) throw new RangeError('base64url is expected')
  return decoded
}

async function isChain ([leaf, intermediate, root]: [ParsedCertificate, ParsedCertificate, ParsedCertificate]): Promise<boolean> {
  try {
    return await isIssuedBy(leaf, intermediate) && await isIssuedBy(intermediate, root) && await isIssuedBy(root, root)
  } catch {
    // A key that WebCrypto cannot import signs nothing.
    return false
  }
}

async function signatureCheck (report: SnpReport, leaf: ParsedCertificate): Promise<Check> {
  const name = 'report-signature'
  if (!report.signature) return check(name, false, 'The signature holds a number out of range')
  try {
    const key = await crypto.subtle.importKey('spki', leaf.spki, { name: 'ECDSA', namedCurve: 'P-384' }, false, ['verify'])
    const holds = await crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-384' }, key, report.signature, report.signed)
    return check(name, holds, holds ? 'The report is signed by the certified key' : 'The report is not signed by the certified key')
  } catch {
    return check(name, false, 'The certified key is not one of ECDSA P-384')
  }
}

/** The key belongs to this chip in this state of its firmware: a key of an older, broken firmware cannot speak for a newer one. */
function leafCheck (report: SnpReport, leaf: ParsedCertificate, product: SnpProduct): Check {
  const name = 'certificate-matches-report'
  const kind = KEY_NAMES[report.signingKey]
  if (kind === undefined || leaf.commonName !== kind) {
    return check(name, false, `The report names signing key ${report.signingKey}, the certificate is for ${show(leaf.commonName)}`)
  }
  for (const [part, at] of TCB_LAYOUT[product]) {
    const certified = smallInteger(leaf.extensions.get(TCB_EXTENSIONS[part]))
    if (certified !== report.reportedTcb[at]) {
      return check(name, false, `TCB part ${part}: the report says ${report.reportedTcb[at]}, the certificate ${show(certified)}`)
    }
  }
  const certifiedChip = leaf.extensions.get(HARDWARE_ID)
  if (kind === 'SEV-VLEK') {
    return check(name, certifiedChip === undefined, 'The certificate is for the provider\'s key at the TCB version of the report')
  }
  const length = product === 'Turin' ? 8 : 64
  const sameChip = certifiedChip !== undefined && sameOctets(certifiedChip, report.chipId.subarray(0, length)) &&
    isZero(report.chipId.subarray(length)) && !isZero(report.chipId)
  return check(name, sameChip, sameChip ? 'The certificate is for this chip at the TCB version of the report' : 'The certificate is for another chip')
}

/** DER INTEGER from 0 to 255. */
function smallInteger (der: Uint8Array | undefined): number | undefined {
  const [tag, length, first, second] = der ?? []
  if (der === undefined || tag !== 2) return undefined
  if (der.length === 3 && length === 1 && first !== undefined && first < 0x80) return first
  if (der.length === 4 && length === 2 && first === 0 && second !== undefined && second >= 0x80) return second
  return undefined
}

function contentChecks (context: VerifierContext, policy: SnpPolicy, report: SnpReport): Check[] {
  const { minimumGuestSvn, maximumVmpl = 0 } = policy
  return [
    check('bound', sameOctets(report.reportData, reportData(context.binding)), 'The report data is the binding of nonce and keys'),
    hardwareFreshness(context),
    check('debug', !report.policy.debug || policy.allowDebug === true, `The guest policy ${report.policy.debug ? 'allows' : 'forbids'} debugging`),
    check('migration', !report.policy.migration || policy.allowMigration === true, `The guest policy ${report.policy.migration ? 'allows' : 'forbids'} a migration agent`),
    oneOfCheck('measurement', 'The launch measurement', policy.measurements, toHex(report.measurement)),
    oneOfCheck('host-data', 'The host data', policy.hostData, toHex(report.hostData)),
    check('vmpl', report.vmpl <= maximumVmpl, `The report was asked for at privilege level ${report.vmpl}, at most ${maximumVmpl} is accepted`),
    minimumGuestSvn === undefined
      ? skipped('guest-svn', `The guest's security version is ${report.guestSvn}; the policy accepts any`)
      : check('guest-svn', report.guestSvn >= minimumGuestSvn, `The guest's security version is ${report.guestSvn}, at least ${minimumGuestSvn} is expected`)
  ]
}

/**
 * Part by part, the lower of now and at launch: what firmware with a hole did to a guest at its launch stays done when
 * the host mends the firmware below it.
 */
function tcbOf ({ reportedTcb, launchTcb }: SnpReport, product: SnpProduct): SnpTcb {
  return Object.fromEntries(TCB_LAYOUT[product].map(([part, at]) => [part, Math.min(reportedTcb[at] ?? 0, launchTcb[at] ?? 0)]))
}

function tcbCheck (report: SnpReport, product: SnpProduct, minimum: SnpTcb | undefined): Check {
  const tcb = tcbOf(report, product)
  const text = Object.entries(tcb).map(([part, value]) => `${part} ${value}`).join(', ')
  if (!minimum) return skipped('tcb', `The TCB version, now and at launch, is at least ${text}; the policy accepts any`)
  const low = (Object.keys(minimum) as Array<keyof SnpTcb>).filter(part => (tcb[part] ?? -1) < (minimum[part] ?? 0))
  return check('tcb', low.length === 0, `The TCB version, now and at launch, is at least ${text}${low.length > 0 ? `: too low in ${low.join(', ')}` : ''}`)
}
