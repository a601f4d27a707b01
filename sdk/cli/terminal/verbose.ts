/** What -v tells on standard error: what was verified, by which protocol, how many bytes. Never what is inside. */
import { createHash } from 'node:crypto'
import type { Verdict } from '../../attestation/checks.ts'
import { KEM_MLKEM768_X25519 } from '../../../lib/protocols/ohttp/suites.ts'
import { renderVerdict } from './render.ts'
import type { Transfer } from './write-out.ts'
import type { Bytes } from '../../../lib/protocols/bytes.ts'

export interface Narrator {
  verified (verdict: Verdict): void
  /** The same fetch, watched. */
  watch (fetch: typeof globalThis.fetch): typeof globalThis.fetch
  answered (response: Response): void
  done (transfer: Transfer): void
}

/** @param stream undefined says nothing */
export function createNarrator (stream: NodeJS.WriteStream | undefined): Narrator {
  const say = (text: string) => { stream?.write(`* ${text}\n`) }
  const sealed = { sent: 0, received: 0 }
  return {
    verified (verdict) {
      if (stream === undefined) return
      stream.write(renderVerdict(verdict, stream).replace(/^/gm, '* ').replace(/\* $/, ''))
      for (const { kind, value } of verdict.keys) {
        say(`key ${kind} sha256:${createHash('sha256').update(value).digest('hex')}`)
      }
    },
    watch: fetch => stream === undefined
      ? fetch
      : async (input, init) => {
        const { origin, pathname } = new URL(input instanceof Request ? input.url : input)
        say(`${init?.method ?? 'GET'} ${origin}${pathname}`)
        const body = init?.body
        const counted = body instanceof ReadableStream
          ? body.pipeThrough(count(n => { sealed.sent += n }, first => say(protocolOf(first))))
          : body
        if (body instanceof Uint8Array) {
          sealed.sent += body.length
          say(protocolOf(body))
        }
        const response = await fetch(input, counted === undefined ? init : { ...init, body: counted })
        say(`answered ${response.status} ${response.headers.get('content-type') ?? 'without a content type'}`)
        if (init?.method !== 'POST' || response.body === null) return response
        return new Response(response.body.pipeThrough(count(n => { sealed.received += n })), response)
      },
    answered: ({ status, redirected }) => say(
      `the workload answered ${status}${redirected ? ', after redirects' : ''}: opened, authentic so far`
    ),
    done: ({ uploaded, downloaded }) => say(`sent ${uploaded} bytes of content in ${sealed.sent} encrypted, received ` +
      `${downloaded} in ${sealed.received}; the response is complete`)
  }
}

/** An encapsulated request begins with the identifiers of its key and algorithms (RFC 9458, section 4.3). */
function protocolOf (message: Uint8Array): string {
  const [keyId = 0, high = 0, low = 0] = message
  const kem = high << 8 | low
  return `Chunked Oblivious HTTP, key id ${keyId}, ${kem === KEM_MLKEM768_X25519
    ? 'X25519 with ML-KEM-768 (post-quantum)'
    : 'X25519'}`
}

function count (add: (bytes: number) => void, onFirst?: (piece: Uint8Array) => void): TransformStream<Bytes, Bytes> {
  let first = true
  return new TransformStream({
    transform (piece, controller) {
      if (first) onFirst?.(piece)
      first = false
      add(piece.length)
      controller.enqueue(piece)
    }
  })
}
