/**
 * Appraises a raw SEV-SNP report: the chain to AMD's root and its revocation, the signature by the chip's or the
 * provider's key, and then what the report says, against the policy.
 */
import { MEDIA_TYPES } from '../../../lib/protocols/attestation.ts'
import { decodeBase64url } from '../../../lib/protocols/base64url.ts'
import { toHex } from '../bytes.ts'
import { check, oneOfCheck, skipped } from '../checks.ts'
import type { Check, Findings } from '../checks.ts'
import type { Verifier, VerifierContext } from '../context.ts'
import { isChain, isValidAt, lastDays, parseCertificate } from '../x509/certificate.ts'
import type { ParsedCertificate } from '../x509/certificate.ts'
import { certifiedTcb, findChain, leafCheck, rootOf } from './chain.ts'
import type { SnpChain } from './chain.ts'
import { contentChecks, machineOf, runningOf } from './content.ts'
import { snpSection } from './policy.ts'
import type { SnpPolicy, SnpTcb } from './policy.ts'
import { parseSnpReport } from './report.ts'
import type { SnpProduct, SnpReport } from './report.ts'
import { revocationCheck } from './revocation.ts'
import { effectiveTcb, tcbCheck } from './tcb.ts'
import { utilityVm } from './utility-vm.ts'

export const sevSnp: Verifier<SnpPolicy> = { ...snpSection, verify: verifySevSnp }

async function verifySevSnp (context: VerifierContext, policy: SnpPolicy): Promise<Findings> {
  let report: SnpReport
  let certificates: ParsedCertificate[]
  try {
    report = parseSnpReport(soleReport(context))
    certificates = context.endorsements
      .filter(([type]) => type === MEDIA_TYPES.certificate)
      .map(([, value]) => parseCertificate(decode(value)))
  } catch (error) {
    return {
      checks: [
        check('report', false, `The evidence cannot be read: ${error instanceof Error ? error.message : 'malformed'}`)
      ],
      presented: {}
    }
  }
  const chain = findChain(report, certificates)
  if (!chain) {
    return {
      checks: [
        check('certificate-chain', false, 'The endorsements hold no chain of key, AMD signing key and AMD root key')
      ],
      presented: {}
    }
  }
  const [leaf] = chain
  const { product, hash } = await rootOf(chain, context)
  const endorsed = await utilityVm(context, policy.utilityVm, report)
  const known = product && { product, tcb: effectiveTcb(certifiedTcb(leaf, product), report, product) }
  return {
    checks: [
      check(
        'report',
        report.signatureAlgorithm === 1,
        `A report of version ${report.version}, signature algorithm ${report.signatureAlgorithm}`
      ),
      check(
        'root',
        product !== undefined,
        product
          ? `The chain ends in a trusted root key for ${product}`
          : `The chain ends in an unknown root, SHA-256 ${hash}`
      ),
      await chainCheck(chain),
      check(
        'certificate-validity',
        chain.every(certificate => isValidAt(certificate, context.now)),
        `The certificates are for use until ${lastDays(chain)}`
      ),
      known
        ? await revocationCheck(context, policy, report, chain, known.product)
        : skipped('revocation', 'Not looked at without a known root'),
      await signatureCheck(report, leaf),
      ...contentChecks(context, policy, report),
      ...(endorsed ? [endorsed.check] : []),
      ...(known
        ? productChecks(policy, report, leaf, known)
        : [skipped('product', 'Not looked at without a known root')])
    ],
    machine: machineOf(report),
    running: runningOf(report),
    presented: {
      'sev-snp': {
        ...(endorsed?.svn === undefined
          ? { measurements: [toHex(report.measurement)] }
          : { utilityVm: { minimumSvn: endorsed.svn } }),
        hostData: [toHex(report.hostData)],
        minimumGuestSvn: report.guestSvn,
        ...(known && { products: [known.product], minimumTcb: known.tcb })
      }
    }
  }
}

async function chainCheck (chain: SnpChain): Promise<Check> {
  const holds = await isChain(chain)
  const order = 'AMD root key, AMD signing key, report signing key'
  return check(
    'certificate-chain',
    holds,
    holds ? `Each key certifies the next: ${order}` : `The chain is broken: ${order}`
  )
}

/** What can be read only where the root says which product this is. */
function productChecks (
  policy: SnpPolicy,
  report: SnpReport,
  leaf: ParsedCertificate,
  known: { product: SnpProduct; tcb: SnpTcb }
): Check[] {
  const matches = leafCheck(report, leaf, known.product)
  return [
    matches,
    oneOfCheck('product', 'The product', policy.products, known.product),
    matches.outcome === 'passed'
      ? tcbCheck(known.tcb, policy.minimumTcb)
      : skipped('tcb', 'Not looked at without a certificate that matches the report')
  ]
}

function soleReport ({ evidence }: VerifierContext) {
  const reports = evidence.filter(([type]) => type === MEDIA_TYPES.snpReport)
  const [first] = reports
  if (!first || reports.length > 1) throw new RangeError('one report is expected')
  return decode(first[1])
}

function decode (value: string) {
  const decoded = decodeBase64url(value)
  if (!decoded) throw new RangeError('base64url is expected')
  return decoded
}

async function signatureCheck (report: SnpReport, leaf: ParsedCertificate): Promise<Check> {
  const name = 'report-signature'
  if (!report.signature) return check(name, false, 'The signature holds a number out of range')
  try {
    const key = await crypto.subtle.importKey('spki', leaf.spki, { name: 'ECDSA', namedCurve: 'P-384' }, false, [
      'verify'
    ])
    const holds = await crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-384' }, key, report.signature, report.signed)
    return check(
      name,
      holds,
      holds ? 'The report is signed by the certified key' : 'The report is not signed by the certified key'
    )
  } catch {
    return check(name, false, 'The certified key is not one of ECDSA P-384')
  }
}
