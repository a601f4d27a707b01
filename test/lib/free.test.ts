/** What is freed is gone for everyone; what is a part of something else stays. */
import { randomBytes } from 'node:crypto'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { free } from '../../lib/free.ts'
import { generateKemKeyPair } from '../../lib/hpke/kem.ts'
import { readRequestStream } from '../../lib/ohttp/exchange.ts'
import { openArrivingRequest, openChunkedRequest } from '../../lib/ohttp/gateway.ts'
import { encodeRequest } from '../../lib/protocols/bhttp-writer.ts'
import { encapsulateRequest, startChunkedExchange } from '../../lib/protocols/ohttp-client.ts'
import { encryptionKey, gatewayWith } from '../fixtures/ohttp.ts'

const LARGE = 16_384

/** Node has it, its types have not: https://webassembly.github.io/spec/js-api/#memories. */
declare const WebAssembly: { Memory: new (descriptor: { initial: number }) => { readonly buffer: ArrayBuffer } }

t.test('octets that are all of their memory are freed, once', async t => {
  const octets = new Uint8Array(LARGE)
  const view = octets.subarray(0, 10)
  free(octets)
  t.strictSame([octets.length, view.length], [0, 0])
  free(octets)
})

t.test('small ones, parts, and what cannot be detached stay', async t => {
  const whole = Buffer.alloc(2 * LARGE, 1)
  const undetachable = new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer)
  const shared = new Uint8Array(new SharedArrayBuffer(LARGE))
  for (const octets of [new Uint8Array(LARGE - 1), whole.subarray(1), whole.subarray(0, LARGE), Buffer.allocUnsafe(LARGE), shared, undetachable]) {
    const { length } = octets
    free(octets)
    t.equal(octets.length, length)
  }
  t.equal(whole.length, 2 * LARGE)
})

t.test('what a request came in is freed once it is opened', async t => {
  const keyPair = generateKemKeyPair(0x20)
  const key = encryptionKey(1, keyPair)
  const content = randomBytes(300_000)
  const head = { method: 'POST', scheme: 'https', authority: 'a.example', path: '/', headers: [] }
  const message = encodeRequest(head, { content })
  /** As reads of the network give them: each piece with memory of its own. */
  const reads = (octets: Uint8Array, sizes: readonly number[]): Uint8Array[] => {
    const pieces: Uint8Array[] = []
    for (let at = 0; at < octets.length;) {
      const piece = octets.slice(at, at + (sizes[pieces.length % sizes.length] as number))
      at += piece.length
      pieces.push(piece)
    }
    return pieces
  }
  const arriving = async function * (pieces: readonly Uint8Array[]) { yield * pieces }
  for (const sizes of [[65_536], [16_404], [LARGE, 1], [4, 16_400, 39, 20_000], [LARGE, LARGE, 3]]) {
    const pieces = reads((await encapsulateRequest(key, message)).message, sizes)
    const whole = await openArrivingRequest(arriving(pieces), gatewayWith(1, keyPair))
    t.ok(Buffer.concat(whole.pieces).equals(message), sizes.join())
    const exchange = await startChunkedExchange(key)
    const chunks = reads(await exchange.seal(message), sizes)
    const chunked = await openChunkedRequest(arriving(chunks), gatewayWith(1, keyPair))
    const { body } = await readRequestStream(chunked.pieces)
    t.ok((await buffer(body as Readable)).equals(content), sizes.join())
    // The first ones have the encapsulated key; of the last, there is nobody who would ask for more.
    const kept = [...pieces.slice(2, -1), ...chunks.slice(2, -1)].filter(piece => piece.length >= LARGE)
    t.equal(kept.length, 0, 'and the large pieces were freed')
  }
})
