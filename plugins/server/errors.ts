/** One error handler: problem details, uniform, silent about causes. The log gets kinds and codes, never contents. */
import fp from 'fastify-plugin'
import type { FastifyError } from 'fastify'
import { codeOf, describeError } from '../../lib/http/describe-error.ts'
import { KeysBusyError, UnwrapError } from '../../lib/keys/provider.ts'
import { PROBLEM_MEDIA_TYPE, Problem } from '../../lib/http/problems.ts'
import { isConnectionError, workloadProblem } from '../../lib/http/workload-problem.ts'

export default fp(async function errors (app) {
  app.setErrorHandler<Error>((error, request, reply) => {
    const problem = asProblem(error, isForwarded(request))
    const protocol = request.exchangeProtocol ?? undefined
    const isGone = reply.raw.destroyed
    if (!isGone && request.passage !== null) request.passage.problem = problem.code
    if (isGone) request.log.info({ protocol, cause: codeOf(error) }, 'client gone')
    else if (problem.code === 'internal') request.log.error({ protocol, err: describeError(error) }, 'internal error')
    else request.log.info({ protocol, problem: problem.code, cause: codeOf(problem.cause) }, 'request refused')

    // What is left of the request body is not worth reading: the connection ends with the answer.
    if (!request.raw.complete) {
      reply.header('connection', 'close')
      // Destroyed is one that undici was forwarding when the workload failed, and detached from its connection.
      if (!request.raw.destroyed) app.polaris.linger(request.raw)
    }
    if (problem.retryAfter !== undefined) reply.header('retry-after', problem.retryAfter)
    return reply
      .code(problem.statusCode)
      .removeHeader('content-length')
      .header('content-type', PROBLEM_MEDIA_TYPE)
      .header('cache-control', 'no-store')
      // As bytes, so that Fastify adds no charset: the media type has none.
      .send(Buffer.from(problem.body(request.id)))
  })
}, { name: 'polaris-errors', dependencies: ['polaris-lingering-close'] })

/**
 * Whether a connection error can only be the workload's: nothing else is connected to for a request that was opened.
 */
function isForwarded ({ exchange }: { exchange?: unknown }): boolean {
  return exchange !== undefined && exchange !== null
}

function asProblem (error: Error, isForwarded: boolean): Problem {
  if (error instanceof Problem) return error
  if (error instanceof KeysBusyError) return new Problem('overloaded', { cause: error, retryAfter: error.retryAfter })
  if (error instanceof UnwrapError) return new Problem('cannot-open', { cause: error })
  // From a response body, before anything of it was sent.
  if (isForwarded && isConnectionError(error)) return workloadProblem(error)
  const { statusCode = 500, validation } = error as Partial<FastifyError>
  if (statusCode === 413) return new Problem('body-too-large', { cause: error })
  if (statusCode === 415) return new Problem('unsupported-media-type', { cause: error })
  if (statusCode === 429) return new Problem('too-many-requests', { cause: error })
  if (validation !== undefined || (statusCode >= 400 && statusCode < 500)) {
    return new Problem('bad-request', { cause: error })
  }
  return new Problem('internal', { cause: error })
}
