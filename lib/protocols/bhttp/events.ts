/** What a reader of Binary HTTP finds, in the order of the message. */
import type { Field, RequestHead, ResponseHead } from './bhttp.ts'

/** `content` refers to the octets pushed, or to a buffer of its own; either way it is not written to afterwards. */
export type BhttpContent = { readonly type: 'content', readonly bytes: Uint8Array }
/** Only when there are any. */
export type BhttpTrailers = { readonly type: 'trailers', readonly fields: readonly Field[] }
export type BhttpRequestEvent = BhttpRequestStart | BhttpContent | BhttpTrailers
export interface BhttpRequestStart {
  readonly type: 'request'
  readonly head: RequestHead
  /** Octets of content that will follow, where the message says so up front: in the known-length form. */
  readonly contentLength: number | undefined
}
export type BhttpResponseEvent =
  | { readonly type: 'informational' | 'response', readonly head: ResponseHead } | BhttpContent | BhttpTrailers
