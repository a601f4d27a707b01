/** Reads the token counts of one answer as it passes, by its media type and its content codings. */
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { mediaTypeOf } from '../http/headers.ts'
import type { ResponseHeaders } from '../http/headers.ts'
import { decode, decodersFor } from '../streams/codings.ts'
import { usageOf } from './counts.ts'
import type { Usage } from './counts.ts'
import { createEventScanner } from './events.ts'
import { createJsonScanner } from './json.ts'

export interface UsageReader {
  /** Looks at a piece, and keeps nothing of it. To be waited for before the next. Never rejects. */
  push (piece: Buffer): Promise<void> | undefined
  /** What the whole answer said; undefined if that is nothing. Never rejects. */
  end (): Promise<Usage | undefined>
  /** Nothing more will come. */
  close (): void
}

/** Of a JSON answer, or of one event of a stream, no more than so many bytes are looked at. */
export const MAX_BYTES = 2 ** 20

interface Look {
  /** False: the rest does not matter. */
  push (bytes: Uint8Array): boolean
  end (): Usage | undefined
}

/** @returns undefined for an answer that has no usage, or whose coding is unknown */
export function createUsageReader (headers: ResponseHeaders, maxBytes = MAX_BYTES): UsageReader | undefined {
  const type = mediaTypeOf(headers)
  if (type !== 'application/json' && type !== 'text/event-stream') return undefined
  const look = type === 'application/json' ? lookAtJson(maxBytes) : lookAtEvents(maxBytes)
  if (headers['content-encoding'] === undefined) return plainReader(look)
  const decoders = knownDecoders(headers)
  if (decoders === undefined) return undefined
  const most = type === 'application/json' ? maxBytes : Infinity
  return decoders.length === 0 ? plainReader(look) : decodingReader(look, decoders, most)
}

function lookAtJson (maxBytes: number): Look {
  const scanner = createJsonScanner()
  let looked = 0
  return {
    push (bytes) {
      looked += bytes.length
      if (looked > maxBytes) return false
      scanner.push(bytes)
      return true
    },
    end () {
      const counts = looked > maxBytes ? undefined : scanner.end()
      return counts === undefined ? undefined : usageOf(counts)
    }
  }
}

function lookAtEvents (maxBytes: number): Look {
  const scanner = createEventScanner(maxBytes)
  return {
    push (bytes) {
      scanner.push(bytes)
      return true
    },
    end: () => usageOf(scanner.end())
  }
}

function plainReader (look: Look): UsageReader {
  let matters = true
  return {
    push (piece) {
      if (matters) matters = look.push(piece)
      return undefined
    },
    end: async () => look.end(),
    close () { matters = false }
  }
}

function knownDecoders (headers: ResponseHeaders): ReturnType<typeof decodersFor> {
  try {
    return decodersFor(headers)
  } catch {
    // Too many: whether such an answer may pass is not for the one who counts to say.
    return undefined
  }
}

/** Looks at what a copy decodes to. It takes no more at once than the decoder does, so what it holds is bounded. */
function decodingReader (
  look: Look, decoders: NonNullable<ReturnType<typeof decodersFor>>, maxCodedBytes: number
): UsageReader {
  const coded = new PassThrough()
  let isWhole = false
  let left = maxCodedBytes
  const looked = lookAtDecoded()

  async function lookAtDecoded (): Promise<void> {
    try {
      for await (const piece of decode(coded, decoders)) if (!look.push(piece)) return
      isWhole = true
    } catch {
      // It does not decode, or it was closed: there is no usage then, and the client gets what the workload sent.
    } finally {
      coded.destroy()
    }
  }

  return {
    async push (piece) {
      left -= piece.length
      if (left < 0) coded.destroy()
      if (coded.destroyed || coded.write(piece)) return
      await Promise.race([once(coded, 'drain'), looked])
    },
    async end () {
      coded.end()
      await looked
      return isWhole ? look.end() : undefined
    },
    close () { coded.destroy() }
  }
}
