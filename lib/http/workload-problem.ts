/** What a client is told of a failure on the workload's side. */
import { errors } from 'undici'
import { Problem } from './problems.ts'

const timeouts = [errors.HeadersTimeoutError, errors.BodyTimeoutError, errors.ConnectTimeoutError]
const invalid = [errors.HTTPParserError, errors.HeadersOverflowError, errors.ResponseContentLengthMismatchError, errors.InvalidArgumentError]

/** undici's errors quote what the workload sent, and carry it: only their kind goes on. */
export function upstreamProblem (error: Error): Problem {
  // Of the request body, whose protocol found something wrong with it: the workload has nothing to do with it.
  if (error instanceof Problem) return error
  const cause = Object.assign(new Error(error.name), { code: (error as { code?: unknown }).code })
  const is = (kinds: readonly (new (...args: never[]) => Error)[]) => kinds.some(kind => error instanceof kind)
  return new Problem(is(timeouts) ? 'upstream-timeout' : is(invalid) ? 'upstream-invalid' : 'upstream-unreachable', { cause })
}
