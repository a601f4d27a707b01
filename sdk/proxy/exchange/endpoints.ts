/**
 * GET /.polaris/verdict, livez and readyz: what this proxy verified, for people and for probes. Nothing below goes on.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Field } from '../../../lib/protocols/bhttp/bhttp.ts'
import type { Failure, ProofStatus } from '../keys/proof.ts'
import { answerJson } from './answer.ts'
import { LocalProblem } from './problems.ts'
import type { ProblemOf } from './problems.ts'
import type { LocalTarget } from './target.ts'

const PREFIX = '/.polaris'

export interface EndpointOptions {
  /** Base URL of the proxy. */
  readonly proxy: string
  /** Whether a policy pins the software behind it. */
  readonly verified: boolean
  /** SHA-256 in hexadecimal; undefined without a policy. */
  readonly policyHash: string | undefined
  readonly status: () => ProofStatus
  readonly problemOf: ProblemOf
}

export function isEndpoint ({ path }: LocalTarget): boolean {
  return path === PREFIX || path.startsWith(`${PREFIX}/`) || path.startsWith(`${PREFIX}?`)
}

/** @throws {LocalProblem} not-found, method-not-allowed */
export type Endpoints = (
  request: IncomingMessage, response: ServerResponse, target: LocalTarget, fields: readonly Field[]
) => void

export function createEndpoints (options: EndpointOptions): Endpoints {
  return ({ method }, response, { path }, fields) => {
    const name = path.slice(PREFIX.length + 1).split('?', 1)[0]
    if (name !== 'verdict' && name !== 'livez' && name !== 'readyz') {
      throw new LocalProblem('not-found', 'The local proxy has /.polaris/verdict, /.polaris/livez and /.polaris/readyz')
    }
    if (method !== 'GET' && method !== 'HEAD') throw new LocalProblem('method-not-allowed', 'Use GET or HEAD')
    if (name === 'livez') return answerJson(response, 200, fields, { status: 'alive' })
    const { proven, failure } = options.status()
    if (name === 'verdict') return answerJson(response, 200, fields, verdict(options))
    if (proven !== undefined) return answerJson(response, 200, fields, { status: 'ready' })
    return answerJson(response, 503, fields, { status: 'not ready', ...describe(failure, options) })
  }
}

function verdict (options: EndpointOptions): object {
  const { proxy, verified, policyHash, status } = options
  const { proven, failure } = status()
  return {
    proxy,
    verified: verified && proven !== undefined,
    ...policyHash !== undefined && { policy: `sha256:${policyHash}` },
    ...proven !== undefined && {
      tee: proven.verdict?.tee ?? 'not asked',
      keys: `sha256:${proven.keysHash}`,
      postQuantum: proven.postQuantum,
      since: proven.since.toISOString(),
      proven: proven.at.toISOString(),
      until: proven.until.toISOString(),
      checks: proven.verdict?.checks ?? []
    },
    ...describe(failure, options)
  }
}

/** As the problem that requests are answered with. Nothing while an attempt is under way for the first time. */
function describe (failure: Failure | undefined, { problemOf }: EndpointOptions): object {
  if (failure === undefined) return {}
  const problem = problemOf(failure.error)
  return {
    failure: {
      at: failure.at.toISOString(), ...problem !== undefined && JSON.parse(problem.body().toString()) as object
    }
  }
}
