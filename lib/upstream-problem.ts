/** What a client is told of a failure on the workload's side. */
import { errors } from 'undici'
import { Problem } from './problems.ts'
import { BhttpError } from './protocols/bhttp.ts'
import { OhttpError } from './protocols/ohttp.ts'

/** undici's errors quote what the workload sent, and carry it: only their kind goes on. */
export function upstreamProblem (error: Error): Problem {
  // The body that came out of decryption broke off, or was tampered with: the workload has nothing to do with it.
  if (error instanceof OhttpError || error instanceof BhttpError) return new Problem('bad-request', { cause: error })
  const cause = Object.assign(new Error(error.name), { code: (error as { code?: unknown }).code })
  if (error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError || error instanceof errors.ConnectTimeoutError) {
    return new Problem('upstream-timeout', { cause })
  }
  if (error instanceof errors.HTTPParserError || error instanceof errors.HeadersOverflowError || error instanceof errors.InvalidArgumentError) {
    return new Problem('upstream-invalid', { cause })
  }
  return new Problem('upstream-unreachable', { cause })
}
