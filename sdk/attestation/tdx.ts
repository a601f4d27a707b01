/**
 * Appraises a TDX quote, version 4 (Intel, "TDX DCAP Quoting Library API", appendix A.3). The quote's signature, its
 * chain to Intel's root and the TCB status are the work of the optional package @phala/dcap-qvl; what the quote says
 * is compared here, and so is what that package leaves open: who may certify, and whose TDX module it is.
 */
import { MEDIA_TYPES, reportData } from '../../lib/protocols/attestation.ts'
import { decodeBase64url } from '../../lib/protocols/base64url.ts'
import { check, oneOfCheck, show, skipped } from './checks.ts'
import type { Check, Findings } from './checks.ts'
import { hardwareFreshness } from './context.ts'
import type { TdxVerifier, VerifierContext } from './context.ts'
import { TIMEOUT_MS } from './http.ts'
import type { TdxMeasurement, TdxPolicy } from './policy.ts'
import { parseCertificate, sameOctets, toHex } from './x509.ts'

type Octets = Uint8Array<ArrayBuffer>

const TEE_TYPE_TDX = 0x81
/** Header and TD report: all that is signed. */
const BODY_BYTES = 632

interface TdxQuote extends Required<TdxMeasurement> {
  readonly intelModule: boolean
  readonly debug: boolean
  readonly reportData: Octets
}

export async function verifyTdx (context: VerifierContext, policy: TdxPolicy): Promise<Findings> {
  const quotes = context.document.evidence.filter(([type]) => type === MEDIA_TYPES.tdxQuote)
  const octets = quotes.length === 1 ? decodeBase64url(quotes[0]?.[1] ?? '') : undefined
  const quote = octets && parseTdxQuote(octets)
  if (!octets || !quote) return { checks: [check('evidence', false, 'The evidence is not one TDX quote of version 4')], presented: {} }
  const { mrtd, rtmr0, rtmr1, rtmr2, rtmr3 } = quote
  const measurement = { mrtd, rtmr0, rtmr1, rtmr2, rtmr3 }
  return {
    checks: [
      ...await quoteChecks(context, policy, octets),
      check('module', quote.intelModule, `The TDX module is ${quote.intelModule ? 'one of Intel\'s for production' : 'not one of Intel\'s for production'}`),
      check('bound', sameOctets(quote.reportData, reportData(context.binding)), 'The report data is the binding of nonce and keys'),
      hardwareFreshness(context),
      check('debug', !quote.debug, `The trust domain ${quote.debug ? 'can' : 'cannot'} be debugged`),
      measurementCheck(measurement, policy.measurements)
    ],
    presented: { tdx: { measurements: [measurement] } }
  }
}

/** @returns undefined where this is not a TDX quote of version 4 */
export function parseTdxQuote (quote: Octets): TdxQuote | undefined {
  if (quote.length < BODY_BYTES) return undefined
  const view = new DataView(quote.buffer, quote.byteOffset, quote.byteLength)
  if (view.getUint16(0, true) !== 4 || view.getUint32(4, true) !== TEE_TYPE_TDX) return undefined
  const register = (at: number) => toHex(quote.subarray(at, at + 48))
  return {
    // MRSIGNERSEAM and SEAMATTRIBUTES: both are zero for what Intel signed, but for modules that can be debugged.
    intelModule: quote.subarray(112, 168).every(octet => octet === 0),
    // TDATTRIBUTES.TUD: any of its eight bits makes the domain untrusted; the lowest is DEBUG.
    debug: quote[168] !== 0,
    mrtd: register(184),
    rtmr0: register(376),
    rtmr1: register(424),
    rtmr2: register(472),
    rtmr3: register(520),
    reportData: quote.subarray(568, BODY_BYTES)
  }
}

async function quoteChecks (context: VerifierContext, policy: TdxPolicy, quote: Octets): Promise<Check[]> {
  const unknownTcb = skipped('tcb', 'Not looked at without a verified quote')
  let verifier: TdxVerifier
  try {
    verifier = context.options.tdxVerifier ?? await optionalVerifier()
  } catch {
    return [check('quote', false, 'TDX quotes need the package @phala/dcap-qvl, which is not installed beside the SDK'), unknownTcb]
  }
  if (!isCertifiedByAuthorities(quote)) return [check('quote', false, 'The quote is certified by a key that may not certify others'), unknownTcb]
  try {
    const collateral = await inTime(verifier.getCollateralFromPcs(quote))
    const { status } = verifier.verify(quote, collateral as never, Math.floor(context.now.getTime() / 1000))
    return [
      check('quote', true, 'The quote is signed by a key that Intel certifies'),
      oneOfCheck('tcb', 'The TCB status', policy.tcbStatuses ?? ['UpToDate'], statusText(status))
    ]
  } catch (error) {
    return [check('quote', false, `The quote is not genuine, or its collateral cannot be had: ${show(error instanceof Error ? error.message : 'unknown')}`), unknownTcb]
  }
}

/**
 * The quote holds the certificate of the platform's key and those of its issuers, in PEM. The library follows the
 * signatures from one to the next and does not ask whether their keys may certify: without this check, whoever got one
 * platform's key out, however old that platform, could certify any other.
 */
function isCertifiedByAuthorities (quote: Octets): boolean {
  const text = Array.from(quote, octet => String.fromCharCode(octet)).join('')
  const [, ...issuers] = [...text.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g)]
  try {
    return issuers.every(([, base64 = '']) => parseCertificate(Uint8Array.from(atob(base64), character => character.charCodeAt(0))).authority)
  } catch {
    // What cannot be read certifies nobody.
    return false
  }
}

/** The library waits for ever. */
async function inTime<T> (answer: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), TIMEOUT_MS)
  })
  return Promise.race([answer, late]).finally(() => clearTimeout(timer))
}

/**
 * Its types pull in those of Node, which browsers do not have; so it is imported without them. Bundlers are not to look
 * for what is optional: they would fail where it is absent.
 */
async function optionalVerifier (): Promise<TdxVerifier> {
  const name = ['@phala', 'dcap-qvl'].join('/')
  const module: { default: TdxVerifier } = await import(/* webpackIgnore: true */ /* @vite-ignore */ name)
  return module.default
}

function statusText (status: unknown): unknown {
  return typeof status === 'object' && status !== null && 'status' in status ? status.status : status
}

function measurementCheck (presented: Required<TdxMeasurement>, accepted: readonly TdxMeasurement[] | undefined): Check {
  const name = 'measurement'
  if (!accepted) return skipped(name, `The measurement is ${presented.mrtd}; the policy accepts any`)
  const registers = ['mrtd', 'rtmr0', 'rtmr1', 'rtmr2', 'rtmr3'] as const
  const found = accepted.some(measurement => registers.every(register => measurement[register] === undefined || measurement[register] === presented[register]))
  return check(name, found, `MRTD is ${presented.mrtd}; the registers ${found ? 'match' : 'do not match'} the policy`)
}
