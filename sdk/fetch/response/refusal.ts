/** What the gateway, or a server in front of it, answers unencrypted. */
import { ClockError, GatewayRefusalError, PolarisFetchError } from '../errors.ts'
import type { ProblemDetails } from '../errors.ts'
import { collect } from '../../collect.ts'

const MAX_PROBLEM_BYTES = 64 * 1024
const OHTTP_KEY = 'https://iana.org/assignments/http-problem-types#ohttp-key'
const DATE = 'https://iana.org/assignments/http-problem-types#date'

/** Without parameters, in lower case. */
export function mediaType ({ headers }: Response): string {
  return (headers.get('content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase()
}

/** The error for an answer that is not encapsulated. Reads or cancels its body. */
export async function refusal (response: Response, sentAt: Date): Promise<PolarisFetchError> {
  const { status } = response
  const problem = await readProblem(response)
  if (problem === undefined) {
    return status >= 400
      ? new GatewayRefusalError('ERR_POLARIS_REFUSED', 'Something in front of the gateway answered with status ' +
        `${status}: see its own log, or what its documentation says about that status`, { status })
      : notAGateway(response)
  }
  if (problem.type === DATE) return new ClockError(status, problem, sentAt, readDate(response))
  if (problem.type === OHTTP_KEY) {
    return new GatewayRefusalError(
      'ERR_POLARIS_KEY_REFUSED',
      'The gateway does not know the key that the request was encrypted to, and did not forward it: send it again',
      { status, problem }
    )
  }
  const says = [problem.title, problem.detail].filter(text => text !== undefined).join(': ')
  return new GatewayRefusalError(
    'ERR_POLARIS_REFUSED', `The gateway answered with status ${status}: ${says}`, { status, problem }
  )
}

export function notAGateway (response: Response): PolarisFetchError {
  return new PolarisFetchError(
    'ERR_POLARIS_NOT_A_GATEWAY',
    `The answer to ${response.url ||
      'the request'} is not a gateway's (status ${response.status}, content type ${JSON.stringify(
        mediaType(response)
      )}): check that baseURL is where Polaris Secure Proxy is mounted, and that OHTTP is enabled there`
  )
}

/** Undefined where the answer holds no problem details. */
export async function readProblem (response: Response): Promise<ProblemDetails | undefined> {
  if (mediaType(response) !== 'application/problem+json' || response.body === null) {
    await response.body?.cancel()
    return undefined
  }
  const octets = await collect(response.body, MAX_PROBLEM_BYTES)
  const { type, title, detail } = parseObject(new TextDecoder().decode(octets))
  if (typeof type !== 'string') return undefined
  return { type, ...typeof title === 'string' && { title }, ...typeof detail === 'string' && { detail } }
}

function parseObject (json: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null ? value as Record<string, unknown> : {}
  } catch {
    return {}
  }
}

/** Where CORS lets it be read. */
function readDate ({ headers }: Response): Date | undefined {
  const time = Date.parse(headers.get('date') ?? '')
  return Number.isNaN(time) ? undefined : new Date(time)
}
