/** What happens to a request, in its order: who asks, what for, and then either an endpoint or an exchange. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Field } from '../../../lib/protocols/bhttp/bhttp.ts'
import type { Ending, Log } from '../log.ts'
import { answer, answerProblem } from './answer.ts'
import { corsFields, preflight } from './cors.ts'
import { isEndpoint } from './endpoints.ts'
import type { Endpoints } from './endpoints.ts'
import type { Forward } from './forward.ts'
import type { Guard } from './guard.ts'
import { linger } from './linger.ts'
import { LocalProblem } from './problems.ts'
import { targetOf } from './target.ts'

export interface HandlerOptions {
  readonly guard: Guard
  readonly endpoints: Endpoints
  readonly forward: Forward
  readonly own: readonly Field[]
  readonly log: Log
}

/** @param expects whether the client waits for 100 Continue before it sends its body */
export type Handler = (
  request: IncomingMessage, response: ServerResponse, expects: 'nothing' | 'continue' | 'unknown'
) => Promise<void>

export function createHandler ({ guard, endpoints, forward, own, log }: HandlerOptions): Handler {
  return async (request, response, expects) => {
    const begin = performance.now()
    // What the client sees is the workload's clock, or none.
    response.sendDate = false
    linger(request)
    const end = (ending: Pick<Ending, 'received' | 'sent' | 'outcome'>) => log.exchange({
      method: request.method ?? '',
      status: response.headersSent ? response.statusCode : undefined,
      ...ending,
      milliseconds: performance.now() - begin
    })
    try {
      if (request.httpVersion !== '1.1') {
        throw new LocalProblem(
          'http-version', 'In earlier versions, an answer that broke off cannot be told from a complete one'
        )
      }
      const target = targetOf(request)
      guard(request, target)
      if (expects === 'unknown') throw new LocalProblem('expectation-failed', 'Only 100-continue can be expected')
      const allowed = preflight(request)
      if (allowed !== undefined) return answer(response, 204, [...own, ...allowed])
      if (isEndpoint(target)) return endpoints(request, response, target, [...own, ...corsFields(request)])
      end(await forward(request, response, target, expects === 'continue' ? () => response.writeContinue() : undefined))
    } catch (error) {
      if (error instanceof LocalProblem) {
        answerProblem(response, error, own)
        return end({ received: 0, sent: 0, outcome: error.code })
      }
      log.warn(`internal error: ${placeOf(error)}`)
    }
  }
}

/** Where it happened. Not the message: it could quote what was to be encrypted. */
function placeOf (error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const frames = (error.stack ?? '').split('\n').filter(line => line.startsWith('    at '))
  return [error.name, ...frames.slice(0, 5).map(frame => frame.trim())].join(' ')
}
