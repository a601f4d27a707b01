/** The encryption: the keys, the proof of them, pages of other origins, what is in front, and a request all the way. */
import { KEYS_MEDIA_TYPE, decodeKeyConfigs } from '../../../lib/protocols/ohttp/key-config.ts'
import { CHUNKED_REQUEST_MEDIA_TYPE } from '../../../lib/protocols/ohttp/ohttp.ts'
import { kemName } from '../../../lib/protocols/ohttp/suites.ts'
import type { AttestationPolicy } from '../../attestation/policy.ts'
import { networkReason } from '../../network-error.ts'
import { createPolarisFetch } from '../../fetch/index.ts'
import { GATEWAY_PATH } from '../../fetch/options.ts'
import { appraise } from '../appraise.ts'
import type { AppraiseOptions } from '../appraise.ts'
import { report } from '../report.ts'
import { below, findings } from './finding.ts'
import type { Finding, Patient } from './finding.ts'
import { bodyOf, get } from './server.ts'

export async function checkKeys (patient: Patient): Promise<Finding> {
  const { ok, warning, problem } = findings('keys')
  const response = await patient.network.fetch(
    below(patient, GATEWAY_PATH),
    { headers: { accept: KEYS_MEDIA_TYPE }, redirect: 'manual', signal: AbortSignal.timeout(patient.timeout) }
  )
  const bytes = await bodyOf(response)
  const type = response.headers.get('content-type')
  if (response.status !== 200 || type?.split(';', 1)[0] !== KEYS_MEDIA_TYPE) {
    return problem(
      `${GATEWAY_PATH} answers with status ${response.status}, ${type ?? 'no content type'}`,
      'Check whether POLARIS_CONTAINER_ENABLE_OHTTP is on, and whether something in front answers this path by itself'
    )
  }
  try {
    const names = decodeKeyConfigs(bytes).map(({ kemId }) => kemName(kemId)).join(', ')
    const age = Number(response.headers.get('age') ?? 0)
    if (age > 0) {
      return warning(
        `${names}, from a cache, ${age} s old`,
        `Let nothing in front cache ${GATEWAY_PATH}: after a restart it hands out keys that are gone`
      )
    }
    return ok(names)
  } catch (error) {
    return problem(
      `The keys are malformed: ${error instanceof Error ? error.message : 'unknown error'}`,
      'Something in front changes responses: check whether it rewrites or recompresses them'
    )
  }
}

export async function checkAttestation ({ url, network }: Patient, options: AppraiseOptions): Promise<Finding> {
  const { ok, warning, problem } = findings('attestation')
  try {
    const { verified, tee, checks } = await appraise(url.href, options, network)
    if (tee === 'none') {
      return warning(
        'The proxy proves nothing: it does not run in a trusted execution environment',
        'Its keys are as authentic as TLS. For more, run it in a TEE: docs/attestation.md'
      )
    }
    if (tee === 'simulated' && options.policy === undefined && !options.development) {
      return warning(
        'The evidence is simulated, which proves nothing',
        'For development, use --development; in production, see POLARIS_CONTAINER_ATTESTATION_TYPE'
      )
    }
    const failed = checks.filter(({ outcome }) => outcome === 'failed').map(({ name, detail }) => `${name}: ${detail}`)
    if (!verified) {
      return problem(`Refused, ${tee}: ${failed.join('; ')}`, 'docs/attestation-troubleshooting.md explains each ' +
        'check. If the deployment changed, review it and make a new policy: polaris policy init')
    }
    return options.policy === undefined
      ? warning(
        `Genuine, ${tee}; any software passes without a policy`,
        'Pin what you expect: polaris policy init, then --policy'
      )
      : ok(
        `Verified by the policy, ${tee}, ${checks.filter(({ outcome }) => outcome === 'passed').length} checks passed`
      )
  } catch (error) {
    return problem(
      report(error).message, 'If an issuer of evidence does not answer, check whether this machine can reach it'
    )
  }
}

/** What a browser asks before a page of another origin may use the proxy. */
export async function checkCors (patient: Patient, origin: string): Promise<Finding> {
  const { ok, problem } = findings('cors')
  const preflight = await patient.network.fetch(below(patient, GATEWAY_PATH), {
    method: 'OPTIONS',
    headers: {
      origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type,incremental'
    },
    signal: AbortSignal.timeout(patient.timeout)
  })
  await preflight.body?.cancel()
  const answer = await get(patient, GATEWAY_PATH, { origin })
  const advice = `Name ${origin} in POLARIS_CONTAINER_CORS_ORIGIN; if it is there, something in front answers ` +
    'OPTIONS or removes headers'
  for (const [what, { headers }] of [['The answer to OPTIONS', preflight], ['The answer to GET', answer]] as const) {
    const allowed = headers.get('access-control-allow-origin')
    if (allowed !== origin && allowed !== '*') {
      return problem(`${what} allows ${allowed ?? 'no origin'}, not ${origin}`, advice)
    }
  }
  const allowed = (preflight.headers.get('access-control-allow-headers') ?? '').toLowerCase()
  if (allowed !== '*' && !/\bcontent-type\b/.test(allowed)) {
    return problem('The answer to OPTIONS does not allow the content-type header', advice)
  }
  return ok(`Pages of ${origin} may use the proxy`)
}

/**
 * Does something in front hold requests back until they are complete? The gateway refuses a key that does not exist as
 * soon as it has read its identifier, so an answer has to come while the request is still being sent.
 */
export async function checkRequestStreaming (patient: Patient): Promise<Finding> {
  const { ok, warning, skipped } = findings('request-streaming')
  const patience = Math.min(patient.timeout, 3000)
  let heldBack = false
  let timer: NodeJS.Timeout | undefined
  const body = new ReadableStream<Uint8Array>({
    start (controller) {
      // A key id and algorithms that no gateway has, and an encapsulated key. The end comes later, if nothing answers
      // before.
      controller.enqueue(new Uint8Array(1024).fill(0xff))
      timer = setTimeout(() => {
        heldBack = true
        controller.close()
      }, patience)
    },
    cancel () { clearTimeout(timer) }
  })
  try {
    const response = await patient.network.fetch(below(patient, GATEWAY_PATH), {
      method: 'POST',
      headers: { 'content-type': CHUNKED_REQUEST_MEDIA_TYPE, incremental: '?1' },
      body,
      duplex: 'half',
      signal: AbortSignal.timeout(patience + patient.timeout)
    } as RequestInit)
    clearTimeout(timer)
    const { status } = response
    await response.body?.cancel()
    if (heldBack) {
      return warning('Requests are held back until they are complete', 'Something in front buffers them: for nginx, ' +
        'proxy_request_buffering off; long uploads and two-way streams need it')
    }
    return status >= 400 && status < 500
      ? ok('Requests reach the proxy while they are being sent')
      : warning(
        `A request that the proxy should refuse was answered with status ${status}`, 'See what answers in its place'
      )
  } catch (error) {
    return skipped(`Not seen: ${networkReason(error) ?? 'the connection failed'}`)
  } finally {
    clearTimeout(timer)
  }
}

/** Pieces that all come within this many milliseconds were held back: a slow machine takes that to open them. */
const AT_ONCE = 150

/** A path of the workload that sends something, waits, and goes on: do its pieces come one by one? */
export async function checkResponseStreaming (polarisFetch: typeof fetch, path: string): Promise<Finding> {
  const { ok, warning, problem } = findings('response-streaming')
  try {
    const response = await polarisFetch(
      path, { headers: { accept: 'text/event-stream' }, signal: AbortSignal.timeout(20_000) }
    )
    const reader = response.body?.getReader()
    if (reader === undefined) {
      return problem(`${path} has no body: status ${response.status}`, 'Name a path that streams')
    }
    const first = performance.now()
    let pieces = 0
    let last = first
    for (let read = await reader.read(); !read.done && pieces < 200 &&
      performance.now() - first < 10_000; read = await reader.read()) {
      pieces++
      last = performance.now()
    }
    await reader.cancel()
    const span = Math.round(last - first)
    return pieces > 1 && span > AT_ONCE
      ? ok(`${pieces} pieces came over ${span} ms`)
      : warning(
        `${pieces} pieces came at once`,
        'If the workload sends them apart, something in front buffers responses: for nginx, proxy_buffering off'
      )
  } catch (error) {
    return problem(report(error).message, 'Name a path of the workload that streams')
  }
}

export function encryptedFetch ({ url, network }: Patient, policy: AttestationPolicy | undefined): typeof fetch {
  return createPolarisFetch(
    { baseURL: url.href.replace(/[?#].*/, ''), fetch: network.fetch, ...policy && { attestation: policy } }
  )
}

export async function checkExchange (polarisFetch: typeof fetch, timeout: number): Promise<Finding> {
  const { ok, warning, problem } = findings('exchange')
  try {
    const { status } = await polarisFetch('/', { method: 'HEAD', signal: AbortSignal.timeout(timeout) })
    if (status >= 502 && status <= 504) {
      return warning(`An encrypted HEAD / came back with status ${status}`, 'The proxy is well, but the workload ' +
        'behind it is not: see POLARIS_CONTAINER_WORKLOAD_BASE_URL and the workload\'s log')
    }
    return ok(`An encrypted HEAD / went to the workload and back: status ${status}`)
  } catch (error) {
    return problem(report(error).message, 'The code and what to do: docs/sdk.md, "Errors"')
  }
}
