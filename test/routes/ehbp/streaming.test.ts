/**
 * EHBP streams: each way piece by piece, with errors where something breaks off, and nothing that looks complete
 * without being so.
 */
import { EventEmitter, once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { ServerResponse } from 'node:http'
import t from 'tap'
import { ehbpRequest, fetchEhbpKey, sendEhbp } from '../../fixtures/ehbp-client.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawClient } from '../../fixtures/raw.ts'
import { startWorkload } from '../../fixtures/workload.ts'

type Listener = NonNullable<Parameters<typeof startWorkload>[1]>

async function start (t: Parameters<typeof startWorkload>[0], listener: Listener) {
  const workload = await startWorkload(t, listener)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, enableEhbp: true })
  return { ...proxy, key: await fetchEhbpKey(proxy.url) }
}

t.test('the workload sees each frame of a request when it has arrived, and its answer comes back before the ' +
  'end', async t => {
  const { url, key } = await start(t, (request, response) => {
    response.writeHead(200).flushHeaders()
    request.on('data', (piece: Buffer) => response.write(piece.toString().toUpperCase()))
    request.on('end', () => response.end())
  })
  const request = await ehbpRequest(key, 'first', 'second')
  const sending = httpRequest(url, { method: 'POST', headers: request.headers })
  sending.write(request.frames[0])
  const [response] = await once(sending, 'response')
  const headers = new Headers({ 'ehbp-response-nonce': response.headers['ehbp-response-nonce'] })
  const pieces: Buffer[] = []
  const opened = () => Buffer.concat(request.open({ headers }, Buffer.concat(pieces))).toString()
  response.on('data', (piece: Buffer) => pieces.push(piece))
  while (opened() !== 'FIRST') await once(response, 'data')
  sending.end(request.frames[1])
  await once(response, 'end')
  t.equal(opened(), 'FIRSTSECOND')
})

t.test('the head of a response does not wait for its body', async t => {
  let waiting: ServerResponse | undefined
  const { url, key } = await start(t, (request, response) => {
    request.resume()
    waiting = response
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
  })
  const request = await ehbpRequest(key, 'x')
  const response = await sendEhbp(url, request)
  t.equal(response.headers.get('content-type'), 'text/event-stream')
  waiting?.end('data: 1\n\n')
  t.equal(Buffer.concat(request.open(response, new Uint8Array(await response.arrayBuffer()))).toString(), 'data: 1\n\n')
})

for (const [how, headers] of [['without a length', {}], ['with a length', { 'content-length': '100' }]] as const) {
  t.test(`a workload that breaks off, ${how}, leaves a response without an end`, async t => {
    const { port, key } = await start(t, (request, response) => {
      request.resume()
      response.writeHead(200, headers)
      response.write('some')
      setTimeout(() => response.destroy(), 50)
    })
    const { headers: { 'ehbp-encapsulated-key': enc }, body } = await ehbpRequest(key, 'x')
    const client = await rawClient(t, port)
    client.send(`POST / HTTP/1.1\r\nhost: x\r\nehbp-encapsulated-key: ${enc}\r\ncontent-length: ${body.length}\r\n\r\n`)
    client.send(body)
    const all = await client.end
    t.match(all, /^HTTP\/1\.1 200 /)
    t.match(all, /\r\ntransfer-encoding: chunked\r\n/i)
    t.notMatch(all, /\r\n0\r\n\r\n$/)
  })
}

t.test('a client that breaks off, within a frame or behind one, leaves the workload without an end', async t => {
  const ends: string[] = []
  const events = new EventEmitter()
  const { port, key } = await start(t, request => {
    request.once('data', () => events.emit('begun')).on('error', () => undefined)
    request.on('end', () => ends.push('complete')).on('close', () => {
      ends.push('closed')
      events.emit('closed')
    })
  })
  for (const bytesOfSecond of [0, 7]) {
    const { headers: { 'ehbp-encapsulated-key': enc }, frames: [first, second] } = await ehbpRequest(key, 'a', 'b')
    const [begun, closed] = [once(events, 'begun'), once(events, 'closed')]
    const client = await rawClient(t, port)
    client.send(`POST / HTTP/1.1\r\nhost: x\r\nehbp-encapsulated-key: ${enc}\r\ncontent-length: 1000\r\n\r\n`)
    client.send(Buffer.concat([first!, second!.subarray(0, bytesOfSecond)]))
    await begun
    client.socket.destroy()
    await closed
  }
  t.strictSame(ends, ['closed', 'closed'])
})

t.test('when the client goes away, the workload learns of it', async t => {
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  const { url, key } = await start(t, (request, response) => {
    request.resume()
    response.on('close', resolve)
    response.writeHead(200).write('x')
  })
  const controller = new AbortController()
  const response = await sendEhbp(url, await ehbpRequest(key, 'x'), { signal: controller.signal })
  t.equal(response.status, 200)
  controller.abort()
  await closed
})
