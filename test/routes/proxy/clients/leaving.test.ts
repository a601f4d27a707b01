/** Clients that go away harm nobody: their requests are aborted, and what they had buffered is given back. */
import { EventEmitter, once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { createEphemeralProvider } from '../../../../lib/platforms/local/ephemeral-keys.ts'
import type { KeyProvider } from '../../../../lib/keys/provider.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { rawClient, startRawWorkload } from '../../../fixtures/raw.ts'
import { v1Client } from '../../../fixtures/v1-client.ts'
import type { V1Request } from '../../../fixtures/v1-client.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

/** A request must be seen aborted: guards against waiting for ever, and does not measure. */
const GUARD = 20_000
const guarded = (event: Promise<unknown>) => Promise.race(
  [event.then(() => true), setTimeout(GUARD, false, { ref: false })]
)

/** Some send one request several times. */
const sealed = { enableInputEncryption: true, enableOutputEncryption: true, v1ReplayProtection: false }
const lines = ({ headers }: V1Request) =>
  Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')

/** A workload that says when it gets a request, and when one is aborted. */
async function watching (t: Test, headersFirst: boolean) {
  const events = new EventEmitter()
  const workload = await startWorkload(t, (request: IncomingMessage, response) => {
    request.on('error', () => events.emit('broken'))
    response.on('close', () => { if (!response.writableFinished) events.emit('aborted') })
    if (headersFirst) response.writeHead(200).write('x')
    request.once('data', () => events.emit('data'))
    events.emit('request')
  })
  return { url: workload.url, events }
}

for (const headersFirst of [false, true]) {
  for (const config of [{}, sealed]) {
    const [when, how] = [headersFirst ? 'after' : 'before', config === sealed ? 'sealed' : 'in clear']
    t.test(`a client that goes away ${when} the workload's headers, ${how}: its request is aborted`, async t => {
      const { url: workloadBaseUrl, events } = await watching(t, headersFirst)
      const { url, port, log } = await startProxy(t, { workloadBaseUrl, ...config })
      const request = config === sealed ? lines(await (await v1Client(url)).request({ target: '/x' })) : ''
      const reached = once(events, 'request')
      const aborted = once(events, 'aborted')
      const client = await rawClient(t, port)
      client.send(`GET / HTTP/1.1\r\nhost: x\r\n${request}\r\n`)
      await reached
      if (headersFirst && config !== sealed) await client.until('200 OK')
      client.socket.destroy()
      t.ok(await guarded(aborted))
      t.equal((await fetch(`${url}/polaris-container/livez`)).status, 200)
      t.notMatch(log.join(''), /internal error/)
    })
  }
}

t.test('a client that goes away within its upload: the workload sees its request aborted', async t => {
  const { url: workloadBaseUrl, events } = await watching(t, false)
  const { port } = await startProxy(t, { workloadBaseUrl })
  const data = once(events, 'data')
  const aborted = once(events, 'aborted')
  const client = await rawClient(t, port)
  client.send('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\npart')
  await data
  client.socket.destroy()
  t.ok(await guarded(aborted))
})

t.test('a chunked upload that breaks off, or breaks its coding, never looks complete to the workload', async t => {
  for (const finish of [
    (socket: Socket) => socket.destroy(), (socket: Socket) => socket.write('zz\r\n'), (socket: Socket) => socket.end()
  ]) {
    let over: () => void
    const closed = new Promise<void>(resolve => { over = resolve })
    const workload = await startRawWorkload(t, socket => { socket.once('close', () => over()) })
    const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
    const client = await rawClient(t, port)
    client.send('POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n')
    while (!workload.received[0]?.includes('part')) await setTimeout(5)
    finish(client.socket)
    t.ok(await guarded(closed))
    t.notMatch(workload.received.join(''), /0\r\n\r\n$/)
  }
})

/** A provider whose private-key operations wait until they are let go. */
function gated () {
  const inner = createEphemeralProvider({ modulusLength: 2048 })
  const gate = new EventEmitter()
  gate.setMaxListeners(0)
  const state = { waiting: 0 }
  const provider: KeyProvider = {
    ...inner,
    async unwrap (keyId, wrapped) {
      state.waiting++
      gate.emit('waiting')
      await once(gate, 'open')
      return inner.unwrap(keyId, wrapped)
    }
  }
  return { provider, gate, state }
}

t.test('a client that goes away while its request is opened: nothing is forwarded', async t => {
  const workload = await startWorkload(t)
  const { provider, gate, state } = gated()
  const { url, port } = await startProxy(t, { workloadBaseUrl: workload.url, ...sealed }, { keyProvider: provider })
  const request = await (await v1Client(url)).request({ target: '/x' })
  const client = await rawClient(t, port)
  client.send(`GET / HTTP/1.1\r\nhost: x\r\n${lines(request)}\r\n`)
  while (state.waiting < 4) await once(gate, 'waiting')
  client.socket.destroy()
  await setTimeout(100)
  gate.emit('open')
  await setTimeout(200)
  t.same(workload.received, [])
})

t.test('what clients that went away had buffered is given back', async t => {
  const received: number[] = []
  const workload = await startWorkload(t, async (request, response) => {
    const body = await buffer(request)
    received.push(body.length)
    response.end('ok')
  })
  const { provider, gate, state } = gated()
  const body = new Uint8Array(60_000)
  const { url, port } = await startProxy(
    t, { workloadBaseUrl: workload.url, maxBodyBytes: 2 ** 20, maxBufferedBytes: 2 ** 20, ...sealed },
    { keyProvider: provider }
  )
  const client = await v1Client(url)
  const request = await client.request({ target: '/x', body })
  for (let i = 0; i < 20; i++) {
    state.waiting = 0
    const gone = await rawClient(t, port)
    gone.send(`POST / HTTP/1.1\r\nhost: x\r\n${lines(request)}content-length: ${request.body?.length}\r\n\r\n`)
    gone.send(request.body ?? '')
    while (state.waiting < 4) await once(gate, 'waiting')
    gate.emit('open')
    while (state.waiting < 6) await once(gate, 'waiting')
    gone.socket.destroy()
    await setTimeout(50)
    gate.emit('open')
    await setTimeout(50)
  }
  const opener = setInterval(() => gate.emit('open'), 5)
  t.teardown(() => clearInterval(opener))
  const response = await fetch(url, { method: 'POST', ...request })
  t.equal(response.status, 200)
  t.equal(received.at(-1), body.length)
})
