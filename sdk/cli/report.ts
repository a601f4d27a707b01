/** What went wrong, in the words of the command, and the exit status for it. */
import { CommanderError } from 'commander'
import { AttestationDocumentError } from '../../lib/protocols/attestation.ts'
import { AttestationError } from '../attestation/attest-keys.ts'
import { AttestationFetchError } from '../attestation/http.ts'
import { AttestationPolicyError } from '../attestation/policy-rules.ts'
import { UnsupportedRequestError } from '../errors.ts'
import { ClockError, PolarisFetchError, RedirectError } from '../fetch/errors.ts'
import { renderVerdict } from './terminal/render.ts'
import { ChangedFileError } from './saved/files.ts'
import { COULD_NOT_ASK, REFUSED, UsageError, VERIFIED } from './status.ts'

export interface Report {
  readonly status: number
  /** Of one line, or of several for a verdict; ends with a newline. Empty if everything has been said. */
  readonly text: string
  readonly code: string
  readonly message: string
}

/** The response came, but nothing vouches that it is the workload's, or that it is all of it. */
const NOT_AUTHENTIC = new Set(['ERR_POLARIS_RESPONSE', 'ERR_POLARIS_INCOMPLETE', 'ERR_POLARIS_CONTENT_CODING'])

export function report (error: unknown): Report {
  // Commander has said what there is to say; help is no mistake.
  if (error instanceof CommanderError) {
    return {
      status: error.exitCode === 0 ? VERIFIED : COULD_NOT_ASK, text: '', code: error.code, message: error.message
    }
  }
  if (error instanceof AttestationError) {
    return {
      status: REFUSED, text: renderVerdict(error.verdict, process.stderr), code: error.code, message: error.message
    }
  }
  if (error instanceof PolarisFetchError) {
    return line(NOT_AUTHENTIC.has(error.code) ? REFUSED : COULD_NOT_ASK, error.code, inWordsOfTheCommand(error))
  }
  if (error instanceof UnsupportedRequestError) {
    return line(
      COULD_NOT_ASK, error.code,
      error.message.replace('put them into the Authorization header', 'use --user name:password')
    )
  }
  if (error instanceof AttestationFetchError || error instanceof AttestationDocumentError ||
    error instanceof AttestationPolicyError) {
    return line(COULD_NOT_ASK, error.code, error.message)
  }
  if (error instanceof ChangedFileError) return line(error.status, error.code, error.message)
  if (error instanceof UsageError) return line(COULD_NOT_ASK, 'ERR_USAGE', error.message)
  if (isSystemError(error)) {
    return line(COULD_NOT_ASK, error.code, `${error.syscall ?? 'the system'} failed: ${error.message}`)
  }
  const text = error instanceof Error ? error.stack ?? error.message : String(error)
  return {
    status: COULD_NOT_ASK,
    text: `polaris: this is a fault of the command itself, please report it:\n${text}\n`,
    code: 'ERR_INTERNAL',
    message: text
  }
}

function line (status: number, code: string, message: string): Report {
  return { status, code, message, text: `polaris: ${message}\n` }
}

function isSystemError (error: unknown): error is NodeJS.ErrnoException & { code: string } {
  return error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string'
}

/** The SDK's messages name its options; here they are the command's. */
function inWordsOfTheCommand (error: PolarisFetchError): string {
  if (error instanceof RedirectError) return redirect(error)
  if (error instanceof ClockError) return clock(error)
  if (error.code === 'ERR_POLARIS_OTHER_ORIGIN') {
    return error.message.replace(
      /Use the platform's fetch.*/, 'Use curl for other servers, or say with --base where the proxy is mounted'
    )
  }
  return error.message
    .replace(
      'check that baseURL is where Polaris Secure Proxy is mounted',
      'check that the URL, or --base, is where Polaris Secure Proxy is mounted'
    )
    .replace(/\bbaseURL\b/g, '--base')
    .replace(/, or do without postQuantum: 'require'/, '')
}

/** On the user's own terminal, the place may be named in full. */
function redirect ({ message, location }: RedirectError): string {
  if (location === undefined || !message.startsWith('The workload redirects to')) {
    return message.replace(/, which is the location of this error/, location === undefined ? '' : `: ${location}`)
  }
  const [what = ''] = message.split(', which is not below')
  return `${what} (${location}), which is not below the URL of the proxy, and following would leave the encryption. ` +
    'Leave out --location to see the redirect itself; if it is the workload\'s own inner address, have it redirect ' +
    'to paths'
}

function clock ({ clientTime, gatewayTime, message }: ClockError): string {
  if (gatewayTime === undefined) return message
  return clockAdvice(clientTime.getTime() - gatewayTime.getTime())
}

/** @param ahead of this machine's clock, in milliseconds */
export function clockAdvice (ahead: number): string {
  return `this machine's clock is ${duration(Math.abs(ahead))} ${ahead > 0 ? 'ahead of' : 'behind'} the proxy's, and ` +
    'requests are refused for their date. Set it (timedatectl set-ntp true), or use --policy with --clock gateway, ' +
    "which goes by the proxy's clock if the attestation evidence proves its time"
}

function duration (ms: number): string {
  const seconds = Math.round(ms / 1000)
  if (seconds < 120) return `${seconds} seconds`
  return seconds < 7200 ? `${Math.round(seconds / 60)} minutes` : `${Math.round(seconds / 3600)} hours`
}
