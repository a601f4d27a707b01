/** Chunked OHTTP in time: pieces are taken only as they are read, long work gives way, and none is quadratic. */
import t from 'tap'
import { openChunkedRequest, openChunks } from '../../../../../lib/exchanges/ohttp/request.ts'
import { concat } from '../../../../../lib/protocols/bytes.ts'
import { startChunkedExchange } from '../../../../../sdk/ohttp/client.ts'
import { Deframer } from '../../../../../lib/protocols/ohttp/chunks.ts'
import { encodeVarint } from '../../../../../lib/protocols/varint.ts'
import {
  arriving, collectStream, encryptionKey, gatewayWith, openArriving, opening, streamOf
} from '../../../../fixtures/ohttp.ts'
import { KEY_PAIR } from '../../../../fixtures/ohttp/chunked.ts'

t.test('others have their turn while chunks of one octet are opened', async t => {
  const client = await startChunkedExchange(encryptionKey(1, KEY_PAIR))
  const content = Buffer.alloc(1000, 'x')
  const message = concat(
    await collectStream(streamOf([...content].map(octet => Uint8Array.of(octet))).pipeThrough(client.sealStream()))
  )
  for (const opening of [
    async () => Buffer.concat((await openChunks(message, gatewayWith(1, KEY_PAIR))).pieces),
    async () => await openArriving(arriving([message]), gatewayWith(1, KEY_PAIR))
  ]) {
    let turns = 0
    let done = false
    const count = () => {
      turns++
      if (!done) setImmediate(count)
    }
    setImmediate(count)
    t.ok((await opening()).equals(content))
    done = true
    t.ok(turns >= 1000 / 64 - 1, `${turns} turns`)
  }
})

t.test('octet by octet, a long message is found in linear time', async t => {
  // Quadratic, these half a million pushes would take minutes.
  const chunk = concat(encodeVarint(16400), new Uint8Array(16400))
  const deframer = new Deframer()
  let found = 0
  for (let i = 0; i < 32; i++) {
    for (let offset = 0; offset < chunk.length; offset++) {
      found += deframer.push(chunk.subarray(offset, offset + 1)).length
      deframer.settle()
    }
  }
  t.equal(found, 32)
})

t.test('a request is opened piece by piece, while the client still sends, and not further than it is read', async t => {
  const client = await startChunkedExchange(encryptionKey(1, KEY_PAIR))
  let pulled = 0
  const endless = new ReadableStream<Uint8Array>({
    pull (controller) { controller.enqueue(Buffer.from(`piece ${pulled++}`)) }
  }, { highWaterMark: 0 })
  const source = arriving(endless.pipeThrough(client.sealStream()))
  const plaintexts = opening(source, await openChunkedRequest(source, gatewayWith(1, KEY_PAIR)))
  t.equal((await plaintexts.next()).value?.length, 0, 'nothing came with the key')
  for (let i = 0; i < 5; i++) t.equal(String(Buffer.from((await plaintexts.next()).value ?? [])), `piece ${i}`)
  t.ok(pulled < 12, `${pulled} pieces taken for 5 read`)
})

t.test('a large piece is sealed no further than it is read, and cancelling cancels the source', async t => {
  const client = await startChunkedExchange(encryptionKey(1, KEY_PAIR))
  const { readable, writable } = client.sealStream()
  const writer = writable.getWriter()
  let written = false
  const writing = writer.write(new Uint8Array(1 << 20)).then(() => { written = true })
  const reader = readable.getReader()
  for (let i = 0; i < 10; i++) await reader.read()
  t.equal(written, true, 'one piece is taken')
  const second = writer.write(new Uint8Array(1)).then(() => 'taken', (reason: unknown) => reason)
  t.equal(await Promise.race([second, new Promise(resolve => { setImmediate(resolve, 'waits') })]), 'waits')
  await reader.cancel('enough')
  t.equal(await second, 'enough')
  await writing
})
