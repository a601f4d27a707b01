/** One exchange: a plain request in, an encrypted one out, and back. It is never sent in any other way. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Field } from '../../../lib/protocols/bhttp/bhttp.ts'
import type { Base } from '../../fetch/request/target.ts'
import type { OhttpResponse } from '../../fetch/transport/ohttp.ts'
import type { PlainRequest } from '../../fetch/transport/transport.ts'
import type { Ending } from '../log.ts'
import { announcedLength, answerProblem, pump, reset } from './answer.ts'
import { corsFields } from './cors.ts'
import { requestFields, responseFields } from './fields.ts'
import { LocalProblem } from './problems.ts'
import type { ProblemOf } from './problems.ts'
import type { LocalTarget } from './target.ts'
import { openUpload } from './upload.ts'
import type { Upload } from './upload.ts'

export interface ForwarderOptions {
  readonly base: Base
  readonly transport: (request: PlainRequest) => Promise<OhttpResponse>
  /** Headers to add to each request. @throws {LocalProblem} one is unavailable */
  readonly added: () => readonly Field[]
  /** Headers of this proxy's own on each answer. */
  readonly own: readonly Field[]
  readonly problemOf: ProblemOf
}

export type Forward = (
  request: IncomingMessage, response: ServerResponse, target: LocalTarget, proceed: (() => void) | undefined
) => Promise<Pick<Ending, 'received' | 'sent' | 'outcome'>>

export function createForwarder ({ base, transport, added, own, problemOf }: ForwarderOptions): Forward {
  return async (request, response, target, proceed) => {
    const gone = new AbortController()
    response.once('close', () => { if (!response.writableFinished) gone.abort(new Error('The client broke off')) })
    const lines = [...own, ...corsFields(request)]
    let upload: Upload | undefined
    let sent = 0
    const ended = (outcome: string) => ({ outcome, sent, received: upload?.received() ?? 0 })
    try {
      const headers = requestFields(request, added())
      upload = await openUpload(request, proceed)
      const opened = await transport(plainRequest(request, target, headers, upload, gone.signal))
      const fields = responseFields(opened.fields, { base, origin: target.origin, own: lines })
      response.writeHead(opened.status, fields.flat())
      if (opened.body !== null) await pump(opened.body, response, announcedLength(fields), bytes => { sent += bytes })
      if (opened.trailers.length > 0 && acceptsTrailers(request)) {
        response.addTrailers(opened.trailers as [string, string][])
      }
      response.end()
      return ended('complete')
    } catch (error) {
      if (gone.signal.aborted) return ended('aborted')
      if (response.headersSent) {
        reset(response)
        return ended('incomplete')
      }
      const problem = problemOf(error)
      answerProblem(response, problem ?? new LocalProblem('internal', 'This is a bug: please report it'), lines)
      if (problem === undefined) throw error
      return ended(problem.code)
    } finally {
      upload?.drain()
    }
  }

  function plainRequest (
    { method = 'GET' }: IncomingMessage, { path }: LocalTarget, headers: readonly Field[], { body }: Upload,
    signal: AbortSignal
  ): PlainRequest {
    const { protocol, host } = new URL(base.origin)
    return {
      target: { url: base.origin + base.prefix + path, scheme: protocol.slice(0, -1), authority: host, path },
      method,
      headers,
      body,
      signal
    }
  }
}

function acceptsTrailers ({ headers }: IncomingMessage): boolean {
  return String(headers.te).toLowerCase().split(',').some(coding => coding.trim() === 'trailers')
}
