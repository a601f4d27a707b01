/**
 * Appraises a TDX quote in the order of Intel's specification ("TDX DCAP Quoting Library API"; "SGX and TDX
 * Provisioning Certification Service"): the platform's certificate up to Intel's root, the signatures of quoting
 * enclave and quote, then, with collateral, revocation, the quoting enclave's identity and the TCB level, and then
 * what the quote says.
 */
import { MEDIA_TYPES } from '../../../lib/protocols/attestation.ts'
import { decodeBase64url } from '../../../lib/protocols/base64url.ts'
import type { Bytes } from '../../../lib/protocols/bytes.ts'
import { check, skipped } from '../checks.ts'
import type { Check, Findings } from '../checks.ts'
import { hardwareBound, hardwareFreshness } from '../context.ts'
import type { Verifier, VerifierContext } from '../context.ts'
import { certificationChecks } from './certification.ts'
import { contentChecks, presentedPins } from './content.ts'
import { collateralChecks } from './platform.ts'
import { tdxSection } from './policy.ts'
import type { TdxPolicy } from './policy.ts'
import { parseTdxQuote } from './quote.ts'
import type { TdxQuote } from './quote.ts'

export const tdx: Verifier<TdxPolicy> = { ...tdxSection, verify: verifyTdx }

async function verifyTdx (context: VerifierContext, policy: TdxPolicy): Promise<Findings> {
  let quote: TdxQuote
  let bytes: Bytes
  try {
    bytes = soleQuote(context)
    quote = parseTdxQuote(bytes)
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'malformed'
    return {
      checks: [check('evidence', false, `The evidence is not one TDX quote of version 4 or 5: ${reason}`)],
      presented: {}
    }
  }
  const { checks: certification, certified } = await certificationChecks(context, quote)
  return {
    checks: [
      trailingCheck(quote, policy),
      ...certification,
      ...(await collateralChecks(context, policy, quote, bytes, certified)),
      hardwareBound(context, quote.reportData),
      hardwareFreshness(context),
      ...contentChecks(policy, quote)
    ],
    machine: {
      name: 'Intel TDX virtual machine',
      exposed: policy.withoutCollateral
        ? 'may be revoked or lack security updates, since the policy asks for no collateral'
        : undefined
    },
    running: { tdx: { mrtd: quote.report.mrtd, rtmr1: quote.report.rtmr1, rtmr2: quote.report.rtmr2 } },
    presented: { tdx: presentedPins(quote) }
  }
}

function soleQuote ({ evidence }: VerifierContext): Bytes {
  const quotes = evidence.filter(([type]) => type === MEDIA_TYPES.tdxQuote)
  const [first] = quotes
  const bytes = first && quotes.length === 1 ? decodeBase64url(first[1]) : undefined
  if (!bytes) throw new RangeError('one quote in base64url is expected')
  return bytes
}

/** Nothing signs what follows a quote. Quoting services pad with zeros. */
function trailingCheck ({ trailing, version }: TdxQuote, policy: TdxPolicy): Check {
  const name = 'evidence'
  if (!trailing) return check(name, true, `A TDX quote of version ${version}`)
  if (policy.allowTrailingBytes) {
    return skipped(name, 'Unsigned bytes follow the quote, as the policy accepts')
  }
  return check(name, false, 'Unsigned bytes follow the quote')
}
