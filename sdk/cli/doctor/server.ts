/** Who answers there, whether it is ready, and what time it has. */
import { EMPTY } from '../../../lib/protocols/bytes.ts'
import type { Bytes } from '../../../lib/protocols/bytes.ts'
import { collect } from '../../collect.ts'
import { networkReason } from '../../network-error.ts'
import { clockAdvice } from '../report.ts'
import { below, findings } from './finding.ts'
import type { Finding, Patient } from './finding.ts'

/** Less than what proxies tolerate by default. */
const CLOCK_TOLERANCE_MS = 30_000
const MAX_BODY_BYTES = 64 * 1024

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: Readonly<Record<string, unknown>> | undefined
}

/** @throws what the network does */
export async function get (patient: Patient, path: string, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await patient.network.fetch(
    below(patient, path), { headers, redirect: 'manual', signal: AbortSignal.timeout(patient.timeout) }
  )
  const text = new TextDecoder().decode(await bodyOf(response))
  return { status: response.status, headers: response.headers, text, json: parse(text) }
}

/** All of a body; nothing of one that is longer than any that a proxy sends here. */
export async function bodyOf ({ body }: Response): Promise<Bytes> {
  return (body && await collect(body, MAX_BODY_BYTES)) ?? EMPTY
}

function parse (text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value as Record<string, unknown> : undefined
  } catch {
    // Not every answer is JSON.
    return undefined
  }
}

export interface Identified {
  readonly findings: readonly Finding[]
  /** Whether it is a proxy of ours, so that asking it further makes sense. */
  readonly isOurs: boolean
}

export async function checkIdentity (patient: Patient, version: string): Promise<Identified> {
  const { ok, warning, problem } = findings('server')
  let answer: Answer
  try {
    answer = await get(patient, '/polaris-container/about')
  } catch (error) {
    const detail = `${below(patient, '')} does not answer: ${networkReason(error) ?? 'the connection failed'}`
    return { isOurs: false, findings: [problem(detail, 'See the findings above')] }
  }
  const { status, headers, json } = answer
  const theirs = json?.['version']
  if (status === 200 && typeof theirs === 'string') {
    const protocols = Array.isArray(json?.['protocols']) ? json['protocols'].join(', ') : 'none'
    const about = `Polaris Secure Proxy ${theirs}, commit ${String(
      json?.['commit']
    )}, with ${protocols}; this command is ${version}`
    const same = theirs.split('.', 1)[0] === version.split('.', 1)[0]
    return {
      isOurs: true,
      findings: [
        same ? ok(about) : warning(about, 'Use the command of the same major version: npx @polaris-secure-proxy/sdk'),
        ...checkClock(answer)
      ]
    }
  }
  const who = headers.get('server') ?? headers.get('via')
  const detail = `What answers is not a Polaris Secure Proxy, or not this version of one: status ${status}, ${headers
    .get('content-type') ?? 'no content type'}${who === null ? '' : `, by ${who}`}`
  return { isOurs: false, findings: [problem(detail, adviceFor(status, patient)), ...checkClock(answer)] }
}

function adviceFor (status: number, { url }: Patient): string {
  if (status === 502 || status === 503 || status === 504) {
    return 'Something in front answers and does not reach the proxy: see its log, and whether the proxy runs'
  }
  if (status === 401 || status === 403 || status === 407) {
    return 'Something in front asks for authorisation: it has to let /polaris-container/ and ' +
      '/.well-known/ohttp-gateway pass'
  }
  if (status >= 300 && status < 400) return 'Something in front redirects: use the URL that it redirects to'
  const here = url.pathname === '/' ? '' : `, here ${url.pathname}`
  return `Check whether the URL has the path at which the proxy is mounted (POLARIS_CONTAINER_CONTEXT_ROOT${here}), ` +
    'and whether what is in front forwards all of it'
}

function checkClock ({ headers }: Answer): Finding[] {
  const { ok, problem } = findings('clock')
  const time = Date.parse(headers.get('date') ?? '')
  if (Number.isNaN(time)) return []
  const ahead = Date.now() - time
  return [Math.abs(ahead) < CLOCK_TOLERANCE_MS
    ? ok('The clocks agree, to within 30 seconds')
    : problem(
      `${new Date().toISOString()} here, ${new Date(time).toISOString()} there`, capitalised(clockAdvice(ahead))
    )]
}

function capitalised (text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

export async function checkReadiness (patient: Patient): Promise<Finding> {
  const { ok, problem } = findings('readiness')
  const { status, json, text } = await get(patient, '/polaris-container/readyz')
  if (status === 200) return ok('The proxy is ready')
  return problem(
    `The proxy is not ready: ${JSON.stringify(json ?? text.slice(0, 200))}`,
    'See the proxy\'s log; docs/operations.md explains each reason'
  )
}
