/**
 * Appraises a TDX quote, version 4 (Intel, "TDX DCAP Quoting Library API", appendix A.3). The quote's signature, its
 * chain to Intel's root and the TCB status are the work of the optional package @phala/dcap-qvl; what the quote says
 * is compared here.
 */
import { MEDIA_TYPES, reportData } from '../../lib/protocols/attestation.ts'
import { decodeBase64url } from '../../lib/protocols/base64url.ts'
import { check, oneOfCheck, show, skipped } from './checks.ts'
import type { Check, Findings } from './checks.ts'
import { hardwareFreshness } from './context.ts'
import type { VerifierContext } from './context.ts'
import type { TdxMeasurement, TdxPolicy } from './policy.ts'
import { sameOctets, toHex } from './x509.ts'

type Octets = Uint8Array<ArrayBuffer>

/** The part of @phala/dcap-qvl that is used. */
export interface TdxVerifier {
  /** @throws where the quote is not genuine or the collateral is out of date */
  verify (quote: Uint8Array, collateral: never, nowSeconds: number): { readonly status: unknown }
  getCollateralFromPcs (quote: Uint8Array): Promise<unknown>
}

const TEE_TYPE_TDX = 0x81
/** Header and TD report: all that is signed. */
const BODY_BYTES = 632

interface TdxQuote extends Required<TdxMeasurement> {
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
      check('bound', sameOctets(quote.reportData, reportData(context.binding)), 'The report data is the binding of nonce and keys'),
      hardwareFreshness(context),
      check('debug', !quote.debug || policy.allowDebug === true, `The trust domain ${quote.debug ? 'can' : 'cannot'} be debugged`),
      measurementCheck(measurement, policy.measurements)
    ],
    presented: { tdx: { measurements: [measurement], ...quote.debug && { allowDebug: true } } }
  }
}

/** @returns undefined where this is not a TDX quote of version 4 */
export function parseTdxQuote (quote: Octets): TdxQuote | undefined {
  if (quote.length < BODY_BYTES) return undefined
  const view = new DataView(quote.buffer, quote.byteOffset, quote.byteLength)
  if (view.getUint16(0, true) !== 4 || view.getUint32(4, true) !== TEE_TYPE_TDX) return undefined
  const register = (at: number) => toHex(quote.subarray(at, at + 48))
  return {
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
    return [check('quote', false, 'TDX quotes need the package @phala/dcap-qvl, which is not installed'), unknownTcb]
  }
  try {
    const collateral = await collateralFor(context, verifier, quote)
    const { status } = verifier.verify(quote, collateral as never, Math.floor(context.now.getTime() / 1000))
    return [
      check('quote', true, 'The quote is signed by a key that Intel certifies'),
      oneOfCheck('tcb', 'The TCB status', policy.tcbStatuses ?? ['UpToDate'], statusText(status))
    ]
  } catch (error) {
    return [check('quote', false, `The quote is not genuine or its collateral is missing: ${show(error instanceof Error ? error.message : 'unknown')}`), unknownTcb]
  }
}

/** Collateral is signed by Intel and carries its own dates, so it may come from the other side as well. */
async function collateralFor ({ document }: VerifierContext, verifier: TdxVerifier, quote: Octets): Promise<unknown> {
  const presented = document.endorsements.find(([type]) => type === MEDIA_TYPES.tdxCollateral)
  return presented ? JSON.parse(presented[1]) : verifier.getCollateralFromPcs(quote)
}

/** Its types pull in those of Node, which browsers do not have; so it is imported without them. */
async function optionalVerifier (): Promise<TdxVerifier> {
  const name: string = '@phala/dcap-qvl'
  const module: { default: TdxVerifier } = await import(name)
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
