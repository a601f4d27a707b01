/** The one shape that every protocol opens into. The proxy route forwards it without knowing which protocol it was. */
import type { Readable } from 'node:stream'
import type { ResponseHeaders } from '../http/headers.ts'
import type { Problem } from '../http/problems.ts'
import type { OwnedStream } from '../streams/owned.ts'
import type { ProtocolName } from './names.ts'

/** What goes back to the client, before it is sealed. */
export interface PlainResponse {
  readonly status: number
  /** End-to-end headers only. */
  readonly headers: ResponseHeaders
  readonly body: Readable | Uint8Array | string | undefined
  /** False for the proxy's own errors. */
  readonly fromWorkload: boolean
}

/** What goes out on the wire. Of a body that is an `OwnedStream`, `pipe` frees the pieces once they were sent. */
export interface SealedResponse {
  readonly status: number
  readonly headers: ResponseHeaders
  readonly body: Readable | Uint8Array | string | undefined
}

/** One request that was opened, and the way back. */
export interface Exchange {
  /** That of the protocol that opened it: for logs and metrics. */
  readonly protocol: ProtocolName
  readonly method: string
  /** Origin-form request target, byte for byte; starts with '/'. */
  readonly target: string
  /** What was removed from the front of the target that the client sent: empty, or '/path'. */
  readonly prefix?: string
  /** Flat list; end-to-end headers only, validated. */
  readonly headers: readonly string[]
  /**
   * For the side that forwards it, which reads a stream to its end or destroys it. The pieces of an `OwnedStream`
   * (lib/streams/owned.ts) then belong to that side; those of any other stream, and a Buffer, stay whose they are.
   */
  readonly body: Readable | OwnedStream | Buffer | undefined
  /** Bytes of the body, if known before it was read. */
  readonly bodyLength: number | undefined
  /**
   * Of a body without a known length: what follows it, flat and validated; to be called once the body was read.
   * Only a workload of HTTP/2 gets it.
   */
  readonly trailers?: () => readonly string[]
  /** The request was opened, and is not forwarded: this is the answer to seal. */
  readonly refusal?: Problem
  /** Seals a response so that only the client of this exchange can open it; absent if responses go unencrypted. */
  readonly seal?: (response: PlainResponse) => SealedResponse | Promise<SealedResponse>
  /** Streams are sealed piece by piece: what leaves shows when each piece came, and how long it is. */
  readonly showsPieces?: boolean
  /** Lets go of what the exchange holds. Called once, after the response was sent or given up. */
  readonly release?: () => void
}
