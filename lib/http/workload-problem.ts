/** What a client learns of a failure on the workload's side. */
import { errors } from 'undici'
import { Problem } from './problems.ts'

const timeouts = [errors.HeadersTimeoutError, errors.BodyTimeoutError, errors.ConnectTimeoutError]
const invalid = [
  errors.HTTPParserError, errors.HeadersOverflowError, errors.ResponseContentLengthMismatchError,
  errors.InvalidArgumentError
]

/** Whether an error is of a connection: undici's, or one of the system's, which have codes such as ECONNRESET. */
export function isConnectionError (error: Error): boolean {
  const { code } = error as { code?: unknown }
  return error instanceof errors.UndiciError || (typeof code === 'string' &&
    /^(?:UND_ERR_|HPE_|E[A-Z]{3,}$|ERR_SSL_|ERR_TLS_|ERR_STREAM_PREMATURE_CLOSE$)/.test(code))
}

/** undici's errors quote what the workload sent, and carry it: only their kind goes on. */
export function workloadProblem (error: Error): Problem {
  // Of the request body, whose protocol found something wrong with it: the workload has nothing to do with it.
  if (error instanceof Problem) return error
  const cause = Object.assign(new Error(error.name), { code: (error as { code?: unknown }).code })
  const is = (kinds: readonly (new (...args: never[]) => Error)[]) => kinds.some(kind => error instanceof kind)
  return new Problem(
    is(timeouts) ? 'upstream-timeout' : is(invalid) ? 'upstream-invalid' : 'upstream-unreachable', { cause }
  )
}
