/** What is freed is gone for everyone; what is a part of something else stays. */
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import t from 'tap'
import { free } from '../../../lib/streams/free.ts'
import { generateKemKeyPair } from '../../../lib/hpke/kem.ts'
import { readRequestStream } from '../../../lib/exchanges/ohttp/inner.ts'
import { openArrivingRequest, openChunkedRequest } from '../../../lib/exchanges/ohttp/gateway.ts'
import { encodeRequest } from '../../../lib/protocols/bhttp/writer.ts'
import { encapsulateRequest, startChunkedExchange } from '../../../sdk/ohttp/client.ts'
import { encryptionKey, gatewayWith } from '../../fixtures/ohttp.ts'

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
  for (const octets of [new Uint8Array(LARGE - 1), whole.subarray(1), whole.subarray(0, LARGE), shared, undetachable]) {
    const { length } = octets
    free(octets)
    t.equal(octets.length, length)
  }
  t.equal(whole.length, 2 * LARGE)
})

const keyPair = generateKemKeyPair(0x20)
const key = encryptionKey(1, keyPair)
const content = randomBytes(300_000)
const message = encodeRequest({ method: 'POST', scheme: 'https', authority: 'a.example', path: '/', headers: [] }, { content })

/** As reads of the network give them: each piece with memory of its own. */
function reads (octets: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let at = 0; at < octets.length;) {
    const piece = octets.slice(at, at + (sizes[pieces.length % sizes.length] as number))
    at += piece.length
    pieces.push(piece)
  }
  return pieces
}

/** Opens the message, both ways, out of reads of these sizes; gives the reads back. */
async function open (sizes: readonly number[]): Promise<Uint8Array[]> {
  const pieces = reads((await encapsulateRequest(key, message)).message, sizes)
  const whole = await openArrivingRequest(Readable.from(pieces), gatewayWith(1, keyPair))
  if (!Buffer.concat(whole.pieces).equals(message)) throw new Error('opened to something else')
  const chunks = reads(await (await startChunkedExchange(key)).seal(message), sizes)
  const source = Readable.from(chunks)
  const { body } = await readRequestStream(source, await openChunkedRequest(source, gatewayWith(1, keyPair)))
  if (!(await buffer(body as Readable)).equals(content)) throw new Error('opened to something else, in chunks')
  // The first ones have the encapsulated key; of the last, there is nobody who would ask for more.
  return [...pieces.slice(2, -1), ...chunks.slice(2, -1)]
}

t.test('what a request came in is freed once it is opened', async t => {
  // The last ones end where encapsulated key and chunks' prefixes do, so that reads are ciphertexts.
  for (const sizes of [[65_536], [16_404], [LARGE, 1], [4, 16_400, 39, 20_000], [LARGE, LARGE, 3], [43, ...Array.from({ length: 18 }, () => [16_400, 4]).flat(), 65_536]]) {
    const kept = (await open(sizes)).filter(piece => piece.length >= LARGE)
    t.equal(kept.length, 0, sizes.join())
  }
})

t.test('wherever reads end, a request opens to the same', async t => {
  const sizes = fc.array(fc.oneof(fc.constantFrom(1, 4, 39, 43, LARGE, 16_400, 16_404, 65_536), fc.integer({ min: 1, max: 70_000 })), { minLength: 1, maxLength: 20 })
  await fc.assert(fc.asyncProperty(sizes.filter(sizes => Math.max(...sizes) > 1000), async sizes => { await open(sizes) }), { numRuns: 60 })
  t.pass('60 ways')
})
