/** What an authority's refusals mean: for the log, and for when to try again. */
import type { IncomingHttpHeaders } from 'node:http'
import type { JsonAnswer } from '../../../remote/post-json.ts'
import { RemoteError } from '../../../remote/error.ts'
import { describeProblem, parseProblem } from './messages.ts'
import type { AcmeProblem } from './messages.ts'

/** An authority that asks for more is asked once a day all the same: limits may be lifted. */
const MAX_PAUSE_SECONDS = 86_400
const UNREACHED = 'Make sure that the name leads to this proxy, and that the authority reaches port 443 for ' +
  'tls-alpn-01, with its TLS passed through, or port 80 for http-01'
/** By what the authority calls the error (RFC 8555, section 6.7; RFC 8657). */
const ADVICE: Readonly<Record<string, string>> = {
  caa: 'Let the CAA records of the domain name this authority',
  dns: 'Make sure that public DNS has the name',
  connection: UNREACHED,
  incorrectResponse: UNREACHED,
  tls: UNREACHED,
  unauthorized: UNREACHED,
  rateLimited: 'Wait. Each start orders a certificate: see docs/tls.md for what counts against such limits',
  rejectedIdentifier: 'Check POLARIS_CONTAINER_TLS_NAMES: the authority does not issue certificates for all of them',
  invalidContact: 'Correct POLARIS_CONTAINER_TLS_ACME_EMAIL',
  unsupportedContact: 'Correct POLARIS_CONTAINER_TLS_ACME_EMAIL',
  invalidProfile: 'Correct POLARIS_CONTAINER_TLS_ACME_PROFILE',
  externalAccountRequired: 'Set POLARIS_CONTAINER_TLS_ACME_EAB_KEY_ID and POLARIS_CONTAINER_TLS_ACME_EAB_KEY_FILE',
  userActionRequired: 'Agree to the authority\'s terms as it says'
}
/** Names that were validated do not stay wrong; the authority itself failed. */
const TRANSIENT = ['serverInternal', 'badNonce', 'orderNotReady']

/** Of an answer that is no success. */
export function failureOf ({ status, headers, body }: JsonAnswer): RemoteError {
  const problem = parseProblem(body)
  const isLimited = status === 429 || problem.code === 'rateLimited'
  const isTransient = !isLimited && (status >= 500 || TRANSIENT.includes(problem.code))
  return new RemoteError(
    isTransient ? 'transient' : 'refused',
    isLimited
      ? `The certificate authority limits how often it is asked (${describeProblem(problem)})`
      : `The certificate authority answers ${status} (${describeProblem(problem)})`,
    {
      providerCode: problem.code,
      advice: isTransient
        ? 'Wait: the authority has a problem of its own'
        : adviceFor(isLimited ? 'rateLimited' : problem.code),
      retryAfter: secondsOf(headers)
    }
  )
}

/** A name was not validated, or an order was not fulfilled. */
export function refusalOf (what: string, problem: AcmeProblem | undefined): RemoteError {
  const { code, detail } = problem ?? { code: 'unknown', detail: '' }
  return new RemoteError(
    'refused', `${what} (${describeProblem({ code, detail })})`, { providerCode: code, advice: adviceFor(code) }
  )
}

/** How long the authority asks to be left alone: a number of seconds or a date (RFC 9110, section 10.2.3). */
export function secondsOf ({ 'retry-after': header = '' }: IncomingHttpHeaders, now = Date.now()): number | undefined {
  const seconds = /^\d{1,9}$/.test(header) ? Number(header) : (Date.parse(header) - now) / 1000
  return seconds > 0 ? Math.min(Math.ceil(seconds), MAX_PAUSE_SECONDS) : undefined
}

function adviceFor (code: string): string {
  return Object.hasOwn(ADVICE, code)
    ? ADVICE[code] ?? ''
    : 'Compare the settings POLARIS_CONTAINER_TLS_ACME_* with what the authority\'s documentation asks for'
}
