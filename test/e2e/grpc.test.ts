/**
 * gRPC between a real client and a real server (@grpc/grpc-js): over the proxy's attested TLS, and on to the workload
 * in HTTP/2 without TLS. Everything is as it is without a proxy.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { EventEmitter } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { createSecureContext } from 'node:tls'
import { Client, Metadata, credentials, status } from '@grpc/grpc-js'
import type { CallOptions, ServiceError, StatusObject } from '@grpc/grpc-js'
import t from 'tap'
import type { Test } from 'tap'
import type { ConfigInput } from '../../lib/config/config.ts'
import { methods, startGrpcServer } from '../fixtures/grpc.ts'
import { localFor, startTlsProxy } from '../fixtures/local-tls.ts'
import { startProxy } from '../fixtures/proxy.ts'
import { servingTls, tlsClient } from '../fixtures/tls.ts'

const { unary, down, up, both } = methods

/** A client that trusts the key of the proxy's TLS, which is the one that the proxy names. */
async function setUp (t: Test, config: ConfigInput = {}) {
  const server = await startGrpcServer(t)
  const proxy = await startProxy(t, {
    workloadBaseUrl: server.url,
    tls: 'attested',
    tlsPort: 0,
    tlsNames: 'localhost',
    enableInputEncryption: true,
    ...config
  })
  const port = await servingTls(proxy)
  const { keys } = await (await fetch(`${proxy.url}/polaris-container/keys`)).json() as {
    keys: { protocol: string, keyId: string }[]
  }
  // Node tells the certificate of a connection once.
  const shown = (await tlsClient(t, port)).getPeerX509Certificate()
  const spki = shown?.publicKey.export({ format: 'der', type: 'spki' }) ?? ''
  t.equal(
    createHash('sha256').update(spki).digest('base64'), keys.find(({ protocol }) => protocol === 'tls')?.keyId
  )
  const certificate = Buffer.from(shown?.toString() ?? '')
  // It signs itself, and is no authority.
  const context = createSecureContext({ ca: certificate, allowPartialTrustChain: true })
  const client = new Client(`localhost:${port}`, credentials.createFromSecureContext(context), {
    'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1
  })
  t.teardown(() => client.close())
  return { server, proxy, client }
}

interface Outcome {
  readonly code: number
  readonly details: string
  readonly value: Buffer | undefined
  readonly initial: Metadata | undefined
  readonly trailing: Metadata | undefined
}

function callUnary (
  client: Client, request: string | Buffer, metadata = new Metadata(), options: CallOptions = {}
): Promise<Outcome> {
  return new Promise(resolve => {
    let initial: Metadata | undefined
    let result: { error: ServiceError | null, value: Buffer | undefined } | undefined
    let ended: StatusObject | undefined
    const settle = () => {
      if (result === undefined || ended === undefined) return
      resolve({ code: ended.code, details: ended.details, value: result.value, initial, trailing: ended.metadata })
    }
    const call = client.makeUnaryRequest(
      unary.path, unary.requestSerialize, unary.responseDeserialize, Buffer.from(request), metadata, options,
      (error, value) => { result = { error, value }; settle() }
    )
    call.on('metadata', given => { initial = given })
    call.on('status', given => { ended = given; settle() })
  })
}

/** Resolves also if the call fails, which Node's `once` would not. */
function statusOf (call: EventEmitter): Promise<StatusObject> {
  return new Promise(resolve => call.on('status', resolve))
}

t.test('unary: message, metadata both ways, also binary, and large messages', async t => {
  const { client, server } = await setUp(t)
  const metadata = new Metadata()
  metadata.set('x-text', 'value')
  metadata.add('x-echo-bin', Buffer.of(0, 1, 254, 255))
  metadata.add('x-echo-bin', Buffer.of(7))
  const outcome = await callUnary(client, 'hello', metadata)
  t.match(outcome, { code: status.OK, value: Buffer.from('hello') })
  t.same(server.metadata[0]?.get('x-text'), ['value'])
  t.same(server.metadata[0]?.get('x-echo-bin'), [Buffer.of(0, 1, 254, 255), Buffer.of(7)])
  t.same(outcome.initial?.get('x-initial'), ['unary'])
  t.same(outcome.initial?.get('x-echo-bin'), [Buffer.of(0, 1, 254, 255), Buffer.of(7)])
  t.same(outcome.trailing?.get('x-trailer'), ['unary'])
  t.same(outcome.trailing?.get('x-trailer-bin'), [Buffer.of(0, 255, 10)])
  const large = Buffer.alloc(12 * 2 ** 20, 'polaris')
  t.ok((await callUnary(client, large)).value?.equals(large))
  t.equal((await callUnary(client, '')).value?.length, 0)
})

t.test('every status comes back with its details and trailers, also in a response of trailers only', async t => {
  const { client } = await setUp(t)
  for (let code = 1; code <= 16; code++) {
    const outcome = await callUnary(client, `fail:${code}`)
    t.match(outcome, { code, details: 'as asked, caf\xe9' })
    t.same(outcome.trailing?.get('x-trailer'), ['unary'])
  }
  const metadata = new Metadata()
  metadata.set('x-no-initial', '1')
  t.match(await callUnary(client, 'fail:5', metadata), { code: 5, details: 'as asked, caf\xe9' }, 'trailers only')
  const unknown = await new Promise<ServiceError | null>(resolve => client.makeUnaryRequest(
    '/polaris.test.Echo/Nothing', unary.requestSerialize, unary.responseDeserialize, Buffer.alloc(0), resolve
  ))
  t.equal(unknown?.code, status.UNIMPLEMENTED)
})

t.test('server streaming and client streaming', async t => {
  const { client } = await setUp(t)
  const stream = client.makeServerStreamRequest(
    down.path, down.requestSerialize, down.responseDeserialize, Buffer.from('500')
  )
  const got: string[] = []
  stream.on('data', (piece: Buffer) => got.push(piece.toString()))
  const ended = await statusOf(stream)
  t.equal(ended.code, status.OK)
  t.same(ended.metadata.get('x-trailer'), ['down'])
  t.same(got, Array.from({ length: 500 }, (_, i) => String(i + 1)))
  const value = await new Promise<Buffer | undefined>((resolve, reject) => {
    const call = client.makeClientStreamRequest(
      up.path, up.requestSerialize, up.responseDeserialize, (error, value) => error ? reject(error) : resolve(value)
    )
    for (let i = 0; i < 200; i++) call.write(Buffer.alloc(10_000, String(i % 10)))
    call.end()
  })
  t.equal(value?.length, 2_000_000)
})

t.test('both ways at once: each message is answered before the next is sent', async t => {
  const { client } = await setUp(t)
  const call = client.makeBidiStreamRequest(both.path, both.requestSerialize, both.responseDeserialize)
  for (let i = 0; i < 30; i++) {
    call.write(Buffer.from(`m${i}`))
    const [answer] = await once(call, 'data') as [Buffer]
    t.equal(answer.toString(), `>m${i}`)
  }
  const ended = statusOf(call)
  call.end()
  call.resume()
  t.equal((await ended).code, status.OK)
  const refused = client.makeBidiStreamRequest(both.path, both.requestSerialize, both.responseDeserialize)
  refused.on('error', () => undefined)
  refused.resume()
  const outcome = statusOf(refused)
  refused.write(Buffer.from('refuse'))
  t.match(await outcome, { code: status.FAILED_PRECONDITION, details: 'enough' }, 'before the client has ended')
})

t.test('100 calls at once, of each kind', async t => {
  const { client } = await setUp(t)
  const calls = Array.from({ length: 100 }, async (_, i) => {
    if (i % 2 === 0) return (await callUnary(client, `u${i}`)).value?.toString() === `u${i}`
    const call = client.makeBidiStreamRequest(both.path, both.requestSerialize, both.responseDeserialize)
    call.write(Buffer.from(`b${i}`))
    const [answer] = await once(call, 'data') as [Buffer]
    const ended = statusOf(call)
    call.resume().end()
    const { code } = await ended
    return answer.toString() === `>b${i}` && code === status.OK
  })
  t.same(await Promise.all(calls), calls.map(() => true))
})

t.test('a deadline reaches the server', async t => {
  const { client, server } = await setUp(t)
  await callUnary(client, 'x')
  t.equal(server.deadlines.pop(), Infinity)
  const late = await callUnary(client, 'wait', new Metadata(), { deadline: Date.now() + 700 })
  t.equal(late.code, status.DEADLINE_EXCEEDED)
  const left = server.deadlines.pop() ?? 0
  t.ok(left > 0 && left <= 700, 'the server knew')
  while (server.cancelled.length === 0) await setTimeout(10)
})

t.test('a cancellation reaches the server, of every kind of call', async t => {
  const { client, server } = await setUp(t)
  for (const [name, start] of [
    ['unary', () => client.makeUnaryRequest(
      unary.path, unary.requestSerialize, unary.responseDeserialize, Buffer.from('wait'), () => undefined
    )],
    ['down', () => client.makeServerStreamRequest(
      down.path, down.requestSerialize, down.responseDeserialize, Buffer.from('die')
    ).on('error', () => undefined)],
    ['up', () => {
      const call = client.makeClientStreamRequest(
        up.path, up.requestSerialize, up.responseDeserialize, () => undefined
      ).on('error', () => undefined)
      call.write(Buffer.from('begun'))
      return call
    }],
    ['both', () => {
      const call = client.makeBidiStreamRequest(
        both.path, both.requestSerialize, both.responseDeserialize
      ).on('error', () => undefined)
      call.write(Buffer.from('begun'))
      return call
    }]
  ] as const) {
    const seen = server.metadata.length
    const call = start()
    while (server.metadata.length === seen) await setTimeout(10)
    call.cancel()
    while (server.cancelled.length < 1) await setTimeout(10)
    t.same(server.cancelled.splice(0), [name])
  }
})

t.test('a server that dies within a stream, or is down, is unavailable; one that hangs is cut off', async t => {
  const { client, server } = await setUp(t, { workloadIdleTimeout: '1s' })
  for (const kill of [() => undefined, () => server.kill()]) {
    const stream = client.makeServerStreamRequest(
      down.path, down.requestSerialize, down.responseDeserialize, Buffer.from('die')
    ).on('error', () => undefined)
    const outcome = statusOf(stream)
    const [first] = await once(stream, 'data') as [Buffer]
    t.equal(first.toString(), 'part')
    stream.resume()
    kill()
    t.equal((await outcome).code, status.UNAVAILABLE)
  }
  t.equal((await callUnary(client, 'x')).code, status.UNAVAILABLE)
})

t.test('a stream on which little is said lives on, if the timeouts of clients allow it', async t => {
  const { client } = await setUp(t, { clientIdleTimeout: '2s', workloadIdleTimeout: '2s', clientMinRate: 0 })
  const call = client.makeBidiStreamRequest(both.path, both.requestSerialize, both.responseDeserialize)
  for (let i = 0; i < 6; i++) {
    call.write(Buffer.from('ping'))
    t.equal(String((await once(call, 'data'))[0]), '>ping')
    await setTimeout(800)
  }
  const ended = statusOf(call)
  call.resume().end()
  t.equal((await ended).code, status.OK)
})

t.test('a client without TLS calls through the local proxy, which proves the key for it', async t => {
  const server = await startGrpcServer(t)
  const local = await localFor(t, (await startTlsProxy(t, server.url)).port)
  const client = new Client(`127.0.0.1:${local.port}`, credentials.createInsecure())
  t.teardown(() => client.close())
  t.match(await callUnary(client, 'hello'), { code: status.OK, value: Buffer.from('hello') })
  t.match(await callUnary(client, 'fail:9'), { code: status.FAILED_PRECONDITION })
  const call = client.makeBidiStreamRequest(both.path, both.requestSerialize, both.responseDeserialize)
  call.write(Buffer.from('ping'))
  t.equal(String((await once(call, 'data'))[0]), '>ping')
  const ended = statusOf(call)
  call.resume().end()
  t.equal((await ended).code, status.OK)
})

t.test('where encryption is required, gRPC in plaintext is refused', async t => {
  const { proxy } = await setUp(t)
  const plain = new Client(`127.0.0.1:${proxy.port}`, credentials.createInsecure())
  t.teardown(() => plain.close())
  const outcome = await callUnary(plain, 'x', new Metadata(), { deadline: Date.now() + 3000 })
  t.not(outcome.code, status.OK)
})
