/** The one thing that the proxy knows of gRPC: how a stream ends whose server is gone. */
import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { mediaTypeOf } from '../http/headers.ts'
import type { ResponseHeaders } from '../http/headers.ts'
import { addTrailers } from './trailers.ts'

/** Of gRPC's codes: the server is unavailable, which clients may take for a reason to try again. */
const UNAVAILABLE = '14'

export function isGrpc (headers: ResponseHeaders): boolean {
  return /^application\/grpc(?:\+|$)/.test(mediaTypeOf(headers))
}

/**
 * Ends in the place of a body that breaks off, with a status in the response's trailers. A client that finds its stream
 * reset reports an internal error of its own connection; without the proxy, it would see the server's connection break,
 * and report that it is unavailable.
 */
export function withGrpcStatus (body: Readable, response: ServerResponse): Readable {
  const answer = new Readable({
    read () { body.resume() },
    destroy (error, done) {
      body.destroy()
      done(error)
    }
  })
  body.on('data', (piece: Buffer) => { if (!answer.push(piece)) body.pause() })
  body.once('end', () => answer.push(null))
  body.once('error', () => {
    if (answer.destroyed) return
    addTrailers(response, [['grpc-status', UNAVAILABLE], ['grpc-message', 'The workload broke off']])
    answer.push(null)
  })
  return answer
}
