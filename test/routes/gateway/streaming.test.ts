/** OHTTP streams both ways: nothing waits for the rest of a message, and who does not read stops who sends. */
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { request as httpRequest } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { CHUNKED_REQUEST_MEDIA_TYPE } from '../../../lib/protocols/ohttp/ohttp.ts'
import { decodeVarint, varintLengthFrom } from '../../../lib/protocols/varint.ts'
import { encapsulate, fetchKey, requestHead } from '../../fixtures/ohttp-client.ts'
import { readOctets, startExchange } from '../../fixtures/ohttp-stream.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const text = (octets: Uint8Array | undefined) => Buffer.from(octets ?? '').toString()

t.test('each server-sent event arrives before the next one is made', async t => {
  let stream: ServerResponse | undefined
  const workload = await startWorkload(t, (_request, response) => {
    stream = response.writeHead(200, { 'content-type': 'text/event-stream' })
    stream.flushHeaders()
  })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  const exchange = await startExchange(t, url, await fetchKey(url), requestHead('GET', '/events'))
  await exchange.end()
  const { head } = await exchange.response
  t.strictSame(
    [head.status, new Map(head.headers).get('content-type')], [200, 'text/event-stream'],
    'the head does not wait for the first event'
  )
  const pieces = await exchange.pieces()
  for (let i = 0; i < 20; i++) {
    const event = `data: ${i}\n\n`
    stream?.write(event)
    t.equal(text((await pieces.next()).value), event)
  }
  stream?.end()
  t.equal((await pieces.next()).done, true)
})

t.test('each piece of an upload arrives before the next one is sent, and while the response streams', async t => {
  const workload = await startWorkload(t, (request, response) => { request.pipe(response) })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  const exchange = await startExchange(t, url, await fetchKey(url), requestHead('POST', '/'))
  await exchange.write('first')
  const pieces = await exchange.pieces()
  t.equal(text((await pieces.next()).value), 'first')
  for (let i = 0; i < 20; i++) {
    await exchange.write(`piece ${i}`)
    t.equal(text((await pieces.next()).value), `piece ${i}`)
  }
  await exchange.end()
  t.equal((await pieces.next()).done, true)
})

t.test('what the workload writes at once is flushed once, in chunks of at most 16384 octets', async t => {
  let stream: ServerResponse | undefined
  const workload = await startWorkload(t, (_request, response) => {
    stream = response
    stream.flushHeaders()
  })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  const { contentType, message } = await encapsulate(await fetchKey(url), requestHead('GET', '/'))
  const request = httpRequest(url, { method: 'POST', headers: { 'content-type': contentType } }).end(message)
  const [answer] = await once(request, 'response') as [IncomingMessage]
  t.match(answer.headers, {
    'content-type': 'message/ohttp-chunked-res',
    incremental: '?1',
    'cache-control': 'no-store, no-transform',
    'x-accel-buffering': 'no'
  })
  t.notOk(answer.headers['content-length'])
  const flushes: Buffer[] = []
  answer.on('data', (piece: Buffer) => flushes.push(piece))
  while (flushes.length === 0) await setTimeout(1)
  for (const size of [1, 100, 16_000]) {
    const before = flushes.length
    stream?.write(Buffer.alloc(size))
    while (flushes.length === before) await setTimeout(1)
    t.equal(flushes.length, before + 1, `${size} octets`)
  }
  stream?.end(Buffer.alloc(100_000))
  await once(answer, 'end')

  // The framing is in clear: nonce, then chunks, then the final one.
  const body = Buffer.concat(flushes).subarray(16)
  const sizes: number[] = []
  for (let at = 0; at < body.length;) {
    const prefix = varintLengthFrom(body[at] as number)
    const length = decodeVarint(body.subarray(at, at + prefix))
    at += prefix
    sizes.push(length === 0 ? body.length - at : length)
    at = length === 0 ? body.length : at + length
  }
  t.ok(sizes.every(size => size >= 16 && size <= 16_384 + 16), sizes.join())
  t.ok(sizes.filter(size => size === 16_384 + 16).length >= 4, 'large pieces fill their chunks')
})

/** Writes until nothing was taken for a while; gives how many octets were. */
async function untilStuck (write: () => boolean | Promise<unknown>, size: number): Promise<number> {
  let written = 0
  for (;;) {
    const stuck = setTimeout(1000, 'stuck')
    if (await Promise.race([write(), stuck]) === 'stuck') return written
    written += size
    if (written > 256 * 2 ** 20) return Infinity
  }
}

t.test('a workload that does not read stops the client', async t => {
  let release = () => { t.fail('nothing came') }
  const workload = await startWorkload(
    t, (request, response) => { release = () => { request.resume().once('end', () => response.end('all')) } }
  )
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  const exchange = await startExchange(t, url, await fetchKey(url), requestHead('POST', '/'))
  const piece = Buffer.alloc(2 ** 20)
  const written = await untilStuck(() => exchange.write(piece), piece.length)
  t.ok(written < 64 * 2 ** 20, `${written} octets are on the way`)
  release()
  await exchange.end()
  t.equal(text((await (await exchange.pieces()).next()).value), 'all', 'and goes on when it does')
})

t.test('a client that does not read stops the workload', async t => {
  const { promise: stopped, resolve: stop } = Promise.withResolvers<number>()
  const piece = Buffer.alloc(2 ** 20)
  const workload = await startWorkload(t, async (_request, response) => {
    response.flushHeaders()
    stop(piece.length + await untilStuck(() => response.write(piece) || once(response, 'drain'), piece.length))
    response.end('the end')
  })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  const exchange = await startExchange(t, url, await fetchKey(url), requestHead('GET', '/'))
  await exchange.end()
  ;(await exchange.answer).pause()
  const written = await stopped
  t.ok(written < 64 * 2 ** 20, `${written} octets are on the way`)
  const pieces = await exchange.pieces()
  const body = await readOctets(pieces, written + 'the end'.length)
  t.equal(body.subarray(written).toString(), 'the end', 'all of it arrives when it does read')
})

t.test('a client that goes away before the workload answers is gone for the workload, too', async t => {
  for (const method of ['GET', 'POST']) {
    const { promise: aborted, resolve } = Promise.withResolvers<void>()
    const { promise: reached, resolve: arrived } = Promise.withResolvers<void>()
    const workload = await startWorkload(t, (request, response) => {
      response.once('close', () => resolve())
      request.resume()
      arrived()
    })
    const { url, log } = await startProxy(t, { workloadBaseUrl: workload.url })
    const exchange = await startExchange(t, url, await fetchKey(url), requestHead(method, '/'))
    if (method === 'POST') await exchange.write('beginning')
    else await exchange.end()
    await reached
    exchange.outer.destroy()
    await aborted
    t.notOk(log.some(line => line.includes('"level":50')), 'which is nothing to be alarmed about')
  }
})

t.test('a client that goes away within the response is gone for the workload, too', async t => {
  const { promise: aborted, resolve } = Promise.withResolvers<void>()
  const workload = await startWorkload(t, (_request, response) => {
    response.once('close', () => resolve())
    response.write('beginning')
  })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  const exchange = await startExchange(t, url, await fetchKey(url), requestHead('GET', '/'))
  await exchange.end()
  await (await exchange.pieces()).next()
  exchange.outer.destroy()
  await aborted
  t.pass()
})

t.test('a client that goes away while its request is still unopened leaves no trace', async t => {
  const workload = await startWorkload(t)
  const { url, log } = await startProxy(t, { workloadBaseUrl: workload.url })
  const { message } = await encapsulate(await fetchKey(url), requestHead('POST', '/'), Buffer.alloc(1000))
  for (const contentType of [CHUNKED_REQUEST_MEDIA_TYPE, 'message/ohttp-req']) {
    for (const length of [3, 20, 60]) {
      const request = httpRequest(url, { method: 'POST', headers: { 'content-type': contentType } })
      request.on('error', error => t.comment(error.message))
      request.write(message.subarray(0, length))
      await setTimeout(30)
      request.destroy()
    }
  }
  await setTimeout(100)
  t.equal(workload.received.length, 0)
  t.notOk(log.some(line => line.includes('"level":50')), 'and no error in the log')
})

for (const framing of ['chunked', 'content-length'] as const) {
  t.test(`a workload that dies within a ${framing} response never looks complete`, async t => {
    let stream: ServerResponse | undefined
    const workload = await startWorkload(t, (_request, response) => {
      stream = response.writeHead(200, framing === 'content-length' ? { 'content-length': '1000' } : {})
      response.write('beginning')
    })
    const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
    const exchange = await startExchange(t, url, await fetchKey(url), requestHead('GET', '/'))
    await exchange.end()
    const pieces = await exchange.pieces()
    t.equal(text((await pieces.next()).value), 'beginning')
    stream?.destroy()
    await t.rejects(pieces.next())
    t.notOk((await exchange.answer).complete, 'nor does the response around it')
  })
}

t.test('a request that is tampered with on the way never ends at the workload', async t => {
  const { promise: outcome, resolve } = Promise.withResolvers<string>()
  const { promise: reached, resolve: arrived } = Promise.withResolvers<void>()
  const workload = await startWorkload(t, (request, response) => {
    request.on('end', () => resolve('ended')).on('error', () => resolve('aborted')).on('data', () => arrived())
    response.once('close', () => resolve('aborted'))
  })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  const exchange = await startExchange(t, url, await fetchKey(url), requestHead('POST', '/'))
  await exchange.write('untouched')
  await reached
  exchange.tamper(sealed => sealed.map((octet, i) => i === sealed.length - 1 ? octet ^ 1 : octet))
  await exchange.write('touched')
  t.equal(await outcome, 'aborted')
  t.equal((await exchange.response).head.status, 400, 'and the client is told inside')
})

t.test('a request that breaks off before its final chunk never ends at the workload', async t => {
  for (const ending of ['end', 'destroy'] as const) {
    const { promise: outcome, resolve } = Promise.withResolvers<string>()
    const { promise: reached, resolve: arrived } = Promise.withResolvers<void>()
    const workload = await startWorkload(t, (request, response) => {
      request.on('end', () => resolve('ended')).on('error', () => resolve('aborted')).on('data', () => arrived())
      response.once('close', () => resolve('aborted'))
    })
    const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
    const exchange = await startExchange(t, url, await fetchKey(url), requestHead('POST', '/'))
    await exchange.write('beginning')
    await reached
    exchange.outer[ending]()
    t.equal(await outcome, 'aborted')
    if (ending === 'end') t.equal((await exchange.response).head.status, 400)
  }
})

t.test('a response that comes before the upload is over reaches the client', async t => {
  const workload = await startWorkload(t, (_request, response) => { response.writeHead(403).end('enough') })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  const exchange = await startExchange(t, url, await fetchKey(url), requestHead('POST', '/'))
  await exchange.write('beginning')
  t.equal((await exchange.response).head.status, 403)
  t.equal(text((await (await exchange.pieces()).next()).value), 'enough')
})
