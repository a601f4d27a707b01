/** A fetch that keeps what issuers answered, and one that answers from what was kept. */
import type { SavedAnswer } from './files.ts'

type Fetch = typeof globalThis.fetch

/** Of Intel, the certificates are in the headers. Nothing else in them counts. */
const HEADER = /issuer-chain$/i

export interface Recorder {
  readonly fetch: Fetch
  /** What was answered with 200 and read to its end. */
  answers (): ReadonlyArray<{
    readonly url: string, readonly headers: Readonly<Record<string, string>>, readonly body: Uint8Array
  }>
}

export function createRecorder (fetch: Fetch): Recorder {
  const answers = new Map<string, { url: string, headers: Record<string, string>, body: Uint8Array }>()
  return {
    answers: () => [...answers.values()],
    async fetch (input, init) {
      const response = await fetch(input, init)
      if (response.status !== 200 || response.body === null) return response
      const url = input instanceof Request ? input.url : String(input)
      const headers = Object.fromEntries([...response.headers].filter(([name]) => HEADER.test(name)))
      const pieces: Uint8Array[] = []
      const kept = response.body.pipeThrough(new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
        transform (piece, controller) {
          pieces.push(piece)
          controller.enqueue(piece)
        },
        flush () {
          answers.set(url, { url, headers, body: Buffer.concat(pieces) })
        }
      }))
      return new Response(kept, { status: 200, headers: response.headers })
    }
  }
}

/** Without a network: what was not asked then cannot be asked now. */
export function replayFetch (answers: readonly SavedAnswer[], files: ReadonlyMap<string, Buffer>): Fetch {
  return async input => {
    const url = input instanceof Request ? input.url : String(input)
    const answer = answers.find(saved => saved.url === url)
    const body = answer && files.get(answer.file)
    if (!answer || !body) throw new Error('it was not asked when this verification was saved')
    return new Response(Uint8Array.from(body), { headers: answer.headers })
  }
}
