/** A length that the workload tells is in the message before its content: what has another is never complete. */
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { encodeWhole, sealStream } from '../../../../lib/exchanges/ohttp/seal.ts'
import type { MessageInPieces } from '../../../../lib/exchanges/ohttp/seal.ts'
import type { ChunkSealer } from '../../../../lib/exchanges/ohttp/gateway.ts'

const TOLD = 300_000
const clear: ChunkSealer = { seal: (...plaintexts) => Buffer.concat(plaintexts), final: (plaintext = new Uint8Array()) => plaintext }

function response (octets: number, told: string) {
  return { status: 200, headers: { 'content-length': told }, body: Readable.from([Buffer.alloc(100_000), Buffer.alloc(octets - 100_000)]), fromWorkload: true }
}

t.test('a body as long as told', async t => {
  const whole = await encodeWhole(response(TOLD, String(TOLD)), { maxBytes: TOLD, hold: () => t.fail('held'), padTo: 0 }) as MessageInPieces
  t.equal((await buffer(Readable.from(whole.pieces))).length, whole.length)
  t.ok((await buffer(await sealStream(response(TOLD, String(TOLD)), clear, 0) as Readable)).length > TOLD)
})

for (const octets of [TOLD - 1, TOLD + 1]) {
  t.test(`${octets} octets where ${TOLD} were told`, async t => {
    const whole = await encodeWhole(response(octets, String(TOLD)), { maxBytes: TOLD, hold: () => t.fail('held'), padTo: 0 }) as MessageInPieces
    await t.rejects(buffer(Readable.from(whole.pieces)), { code: 'upstream-invalid' })
    await t.rejects(buffer(await sealStream(response(octets, String(TOLD)), clear, 0) as Readable), { code: 'upstream-invalid' })
  })
}

t.test('a length that no number holds is none', async t => {
  for (const told of ['9007199254740993', 'x', '-1']) {
    t.ok((await buffer(await sealStream(response(TOLD, told), clear, 0) as Readable)).length > TOLD, told)
  }
})
