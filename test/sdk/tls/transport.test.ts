/** The SDK over TLS with a proven key: requests, WebSockets, other keys, keys that change, and what is refused. */
import { once } from 'node:events'
import { createServer, connect as connectTcp } from 'node:net'
import type { AddressInfo } from 'node:net'
import { createServer as createTlsServer, connect as connectTls } from 'node:tls'
import t from 'tap'
import type { Test } from 'tap'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { simulated } from '../../../lib/platforms/local/simulated-evidence.ts'
import { TlsKeyError, createPolarisFetch, polarisWebSocket } from '../../../sdk/index.ts'
import type { AttestationPolicy } from '../../../sdk/index.ts'
import { createAuthority } from '../../fixtures/certificates.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { servingTls } from '../../fixtures/tls.ts'
import { startSocketWorkload, wsUrl } from '../../fixtures/websockets.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const attester = await simulated()
const policy = { version: 1, development: true, insecure: true, platforms: { simulated: {} } } as AttestationPolicy

async function setUp (t: Test, workloadBaseUrl: string, config: ConfigInput = {}) {
  const proxy = await startProxy(
    t, { workloadBaseUrl, tls: 'attested', tlsPort: 0, enableInputEncryption: true, ...config }, { attester }
  )
  const port = await servingTls(proxy)
  return { proxy, port, baseURL: `https://127.0.0.1:${port}` }
}

/** Passes connections on, byte by byte, and counts them. */
async function counter (t: Test, port: number) {
  const state = { connections: 0, port: 0 }
  const server = createServer(socket => {
    state.connections++
    const onward = connectTcp(port, '127.0.0.1')
    socket.pipe(onward).pipe(socket)
    for (const each of [socket, onward]) each.on('error', () => { socket.destroy(); onward.destroy() })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  state.port = (server.address() as AddressInfo).port
  return state
}

/** Ends TLS with a key of its own, and passes on what is inside: a load balancer, or an attacker. */
async function middle (t: Test, port: number) {
  const { certPem, keyPem } = createAuthority().issue(['localhost'])
  const state = { seen: '', url: '' }
  const server = createTlsServer({ cert: certPem, key: keyPem, ALPNProtocols: ['http/1.1'] }, socket => {
    const onward = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    socket.on('data', piece => { state.seen += piece.toString('latin1') })
    socket.pipe(onward).pipe(socket)
    for (const each of [socket, onward]) each.on('error', () => { socket.destroy(); onward.destroy() })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  state.url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  return state
}

t.test('requests of every kind pass as they are, without OHTTP, on connections whose key is proven', async t => {
  const workload = await startWorkload(t)
  const { proxy, port } = await setUp(t, workload.url, { contextRoot: '/root' })
  const counted = await counter(t, port)
  const fetch = createPolarisFetch({
    baseURL: `https://127.0.0.1:${counted.port}/root`, transport: 'tls', attestation: policy
  })
  t.equal(fetch.transport, 'tls')
  t.equal(fetch.attestation?.verdict, undefined)
  const response = await fetch('/records?patient=4711', { headers: { authorization: 'Bearer secret' } })
  t.equal(response.status, 200)
  t.match(await response.json(), {
    method: 'GET', url: '/records?patient=4711', headers: { authorization: 'Bearer secret' }
  })
  t.ok(fetch.attestation?.verdict?.verified)
  t.ok((fetch.attestation?.until?.getTime() ?? 0) > Date.now())
  t.equal(counted.connections, 1, 'evidence and request are on one connection')

  const upload = new ReadableStream({
    start (controller) {
      for (const text of ['one ', 'two']) controller.enqueue(new TextEncoder().encode(text))
      controller.close()
    }
  })
  for (const [body, sent] of [['text', 'text'], [new Uint8Array([1, 2]), '\x01\x02'], [upload, 'one two']] as const) {
    const answer = await fetch('/x', { method: 'POST', body, duplex: 'half' } as RequestInit)
    const { body: received } = await answer.json() as { body: string }
    t.equal(Buffer.from(received, 'base64').toString(), sent)
  }
  t.equal((await fetch('/x', { method: 'HEAD' })).status, 200)
  t.notMatch(proxy.log.join(''), 'ohttp-chunked')
  await t.rejects(fetch('https://other.example/'), { code: 'ERR_POLARIS_OTHER_ORIGIN' })
})

t.test('streams arrive as they come, redirects are followed, codings undone, and aborts end the request', async t => {
  let leave = () => {}
  const gone = new Promise<void>(resolve => { leave = resolve })
  const { baseURL } = await setUp(t, (await startWorkload(t, (request, response) => {
    if (request.url === '/from') return response.writeHead(302, { location: '/to' }).end()
    if (request.url === '/to') return response.end('there')
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
    response.once('close', leave)
  })).url)
  const fetch = createPolarisFetch({ baseURL, transport: 'tls', attestation: policy })
  const followed = await fetch('/from')
  t.equal(await followed.text(), 'there')
  t.ok(followed.redirected)
  const stop = new AbortController()
  const stream = await fetch('/events', { signal: stop.signal })
  const reader = stream.body!.getReader()
  t.equal(new TextDecoder().decode((await reader.read()).value), 'data: 1\n\n')
  stop.abort()
  await t.rejects(reader.read(), { name: 'AbortError' })
  await gone
})

t.test('a key that the evidence does not cover is an error that names it, and nothing is sent to it', async t => {
  const workload = await startSocketWorkload(t)
  const { port } = await setUp(t, workload.url)
  const attacker = await middle(t, port)
  const fetch = createPolarisFetch({ baseURL: attacker.url, transport: 'tls', attestation: policy })
  const error = await fetch('/secret', { method: 'POST', body: 'secret' }).catch((error: unknown) => error)
  t.ok(error instanceof TlsKeyError)
  if (!(error instanceof TlsKeyError)) return
  t.equal(error.code, 'ERR_POLARIS_TLS_KEY')
  t.ok(error.nothingSent)
  t.match(error.message, /sha256\/\/[\w+/]{43}=/)
  t.equal(error.proven.length, 1)
  t.ok(error.message.includes(error.pin) && error.message.includes(error.proven[0] ?? '?'))
  await t.rejects(
    polarisWebSocket(wsUrl(attacker, '/secret'), { attestation: policy }), { code: 'ERR_POLARIS_TLS_KEY' }
  )
  t.match(attacker.seen, /^GET \/polaris-container\/attestation\?nonce=/)
  t.notMatch(attacker.seen, 'secret')
  t.same(workload.handshakes, [])
})

t.test('a proof counts for a time, and then nothing is sent before there is another', async t => {
  const workload = await startWorkload(t)
  const { port, baseURL } = await setUp(t, workload.url)
  let verdicts = 0
  const fetch = createPolarisFetch({
    baseURL, transport: 'tls', attestation: { policy, maxAge: 1, onVerdict: () => { verdicts++ } }
  })
  await (await fetch('/1')).text()
  await (await fetch('/2')).text()
  t.equal(verdicts, 1)
  await new Promise(resolve => setTimeout(resolve, 1100))
  await (await fetch('/3')).text()
  t.equal(verdicts, 2)
  await fetch.attestation?.verify({ fresh: true })
  t.equal(verdicts, 3)

  // The address is somebody else's from now on, as after a change of DNS.
  let target = port
  const route = createServer(socket => {
    const onward = connectTcp(target, '127.0.0.1')
    socket.pipe(onward).pipe(socket)
    for (const each of [socket, onward]) each.on('error', () => { socket.destroy(); onward.destroy() })
  }).listen(0, '127.0.0.1')
  await once(route, 'listening')
  t.teardown(() => { route.close() })
  const moved = createPolarisFetch({
    baseURL: `https://127.0.0.1:${(route.address() as AddressInfo).port}`,
    transport: 'tls',
    attestation: { policy, maxAge: 1 }
  })
  await (await moved('/before')).text()
  const second = await setUp(t, workload.url)
  target = second.port
  await new Promise(resolve => setTimeout(resolve, 1100))
  t.equal((await moved('/another-replica')).status, 200, 'another key that evidence covers')
  const attacker = await middle(t, port)
  target = Number(new URL(attacker.url).port)
  await new Promise(resolve => setTimeout(resolve, 1100))
  await t.rejects(moved('/never'), { code: 'ERR_POLARIS_TLS_KEY' })
  t.notOk(workload.received.some(({ url }) => url === '/never'))
})

t.test('evidence that the policy refuses, and a proxy without attested TLS, get nothing', async t => {
  const workload = await startWorkload(t)
  const { baseURL } = await setUp(t, workload.url)
  const refuses = createPolarisFetch({
    baseURL,
    transport: 'tls',
    attestation: { version: 1, insecure: true, platforms: { tdx: {} } } as AttestationPolicy
  })
  await t.rejects(refuses('/'), { code: 'ERR_ATTESTATION' })
  t.same(workload.received, [])
})

t.test('a WebSocket opens on a connection whose key is proven, where encryption is demanded', async t => {
  const workload = await startSocketWorkload(t)
  const { port, proxy } = await setUp(t, workload.url)
  const counted = await counter(t, port)
  const socket = await polarisWebSocket(`wss://127.0.0.1:${counted.port}/live?x=1`, {
    attestation: policy, protocols: ['chat'], headers: { authorization: 'Bearer x' }
  })
  t.equal(socket.readyState, 1)
  t.match(workload.handshakes[0], { url: '/live?x=1', headers: { authorization: 'Bearer x' } })
  const message = new Promise(resolve => {
    socket.addEventListener('message', ({ data }) => resolve(data), { once: true })
  })
  socket.send('hello')
  t.equal(await message, 'hello')
  const closed = new Promise<CloseEvent>(resolve => socket.addEventListener('close', resolve, { once: true }))
  const stopped = proxy.close()
  t.equal((await closed).code, 1012)
  await stopped
})

t.test('mistakes are said at once, and browsers are told', async t => {
  const ok = { baseURL: 'https://x.example', transport: 'tls', attestation: policy } as const
  for (const [options, message] of [
    [{ ...ok, attestation: undefined }, /needs attestation/],
    [{ ...ok, baseURL: 'http://x.example' }, /https/],
    [{ ...ok, fetch: globalThis.fetch }, /fetch exclude/],
    [{ ...ok, protocol: 'polaris-v1' }, /exclude/],
    [{ ...ok, transport: 'quic' }, /'ohttp', 'tls'/]
  ] as const) t.throws(() => createPolarisFetch(options as never), message)
  await t.rejects(polarisWebSocket('http://x.example', { attestation: policy }), /wss or https/)
  await t.rejects(polarisWebSocket('wss://x.example', {} as never), /attestation/)
})
