/** What both forms open a message into. */
import { BhttpError } from '../../protocols/bhttp/bhttp.ts'
import type { RequestHeader } from '../../protocols/ohttp/ohttp.ts'
import type { PlainResponse, SealedResponse } from '../exchange.ts'
import type { InnerRequest } from './inner-request.ts'

/** A request as far as it has been read: its head, and a way to the rest. */
export interface OpenedMessage {
  readonly header: RequestHeader
  readonly enc: Uint8Array
  /** Undefined if what was inside is no HTTP request. */
  readonly inner: InnerRequest | undefined
  seal (response: PlainResponse): Promise<SealedResponse>
  readonly release?: () => void
}

/** What is inside is authentic, so a message that is no HTTP request is answered inside: it is undefined here. */
export async function readInner (message: Promise<InnerRequest>): Promise<InnerRequest | undefined> {
  try {
    return await message
  } catch (error) {
    if (error instanceof BhttpError) return undefined
    throw error
  }
}
