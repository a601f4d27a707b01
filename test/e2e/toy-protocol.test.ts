/**
 * The seam between the proxy and its protocols: one that is defined here, outside of lib/, with base64 for encryption,
 * does what those that are built in do. It streams both ways, refuses, publishes a key that is attested and listed, and
 * has its name in the log, and no file of the proxy knows of it.
 */
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage, RequestListener } from 'node:http'
import { Readable } from 'node:stream'
import t from 'tap'
import type { Test } from 'tap'
import type { Exchange, PlainResponse, SealedResponse } from '../../lib/exchanges/exchange.ts'
import type { ProtocolDefinition } from '../../lib/exchanges/protocol.ts'
import { Problem } from '../../lib/http/problems.ts'
import type { IncomingRequest } from '../../lib/http/incoming.ts'
import { parseAttestationDocument } from '../../lib/protocols/attestation.ts'
import { convertStream } from '../../lib/streams/convert.ts'
import { own } from '../../lib/streams/owned.ts'
import { startProxy } from '../fixtures/proxy.ts'
import { startWorkload } from '../fixtures/workload.ts'

declare module '../../lib/exchanges/names.ts' {
  interface ProtocolNames {
    toy: true
  }
}

const MEDIA_TYPE = 'application/x-toy'
const PATH = '/.well-known/toy'
const KEY = Buffer.from('the key of a toy')

/**
 * `toy-target` has method and target in base64, the body is base64, and so is the response, with its status in front.
 */
const toy = (enabled = true): ProtocolDefinition => ({
  headers: () => ['toy-target'],
  paths: [PATH],
  create: () => enabled
    ? [{
        name: 'toy',
        recognises: ({ method, headers }) => method === 'POST' && headers['content-type'] === MEDIA_TYPE,
        open: openToy,
        endpoints: [PATH],
        offered: true,
        keyResources: [{
          path: PATH,
          mediaType: 'application/x-toy-key',
          publication: () => ({ bytes: KEY, maxAge: 7 }),
          attested: () => [{ kind: 'toy-key', value: Uint8Array.from(KEY) }],
          keys: () => [
            { protocol: 'toy', keyId: '1', algorithm: 'base64', state: 'active', publicKey: KEY.toString() }
          ],
          onChange (listener) { listener() }
        }]
      }]
    : []
})

function openToy (request: IncomingRequest): Exchange {
  const opened = decode(String(request.headers['toy-target'] ?? ''))
  const [method, target] = opened?.toString().split(' ') ?? []
  if (method === undefined || target === undefined) throw new Problem('cannot-open')
  const way = { protocol: 'toy', method, target, headers: [], bodyLength: undefined, seal: sealToy } as const
  if (method === 'GET') return { ...way, body: undefined, refusal: new Problem('misdirected') }
  return { ...way, body: decoded(request.payload) }
}

function sealToy ({ status, body }: PlainResponse): SealedResponse {
  const source = body instanceof Readable ? body : Readable.from([Buffer.from(body ?? '')])
  return {
    status: 200, headers: { 'content-type': 'application/x-toy', 'toy-status': String(status) }, body: encoded(source)
  }
}

function decode (text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.length > 0 && bytes.toString('base64') === text ? bytes : undefined
}

/** A line of base64 for each piece. */
function encoded (source: Readable): Readable {
  return convertStream(source, {
    convert: piece => own(Buffer.from(`${piece.toString('base64')}\n`)),
    end: () => undefined,
    close: () => source.destroy()
  })
}

function decoded (source: Readable): Readable {
  let rest = ''
  return convertStream(source, {
    convert (piece) {
      const lines = (rest + piece.toString('latin1')).split('\n')
      rest = lines.pop() ?? ''
      return own(Buffer.concat(lines.map(line => {
        const bytes = decode(line)
        if (bytes === undefined) throw new Problem('cannot-open')
        return bytes
      })))
    },
    end: () => {
      if (rest !== '') throw new Problem('cannot-open')
      return undefined
    }
  })
}

async function setUp (t: Test, listener?: RequestListener, enabled = true) {
  const workload = await startWorkload(t, listener)
  const proxy = await startProxy(
    t,
    { workloadBaseUrl: workload.url, enableInputEncryption: true, attestationType: 'simulated', contextRoot: '/root' },
    { protocols: [toy(enabled)] }
  )
  const send = (toyTarget: string, body: string, path = '/any') => fetch(proxy.url + path, {
    method: 'POST',
    headers: {
      'content-type': MEDIA_TYPE, 'toy-target': Buffer.from(toyTarget).toString('base64'), 'polaris-url': 'x'
    },
    body
  })
  const logged = () => proxy.log.map(line => JSON.parse(line) as Record<string, unknown>)
  return { workload, proxy, send, logged }
}

const line = (text: string) => `${Buffer.from(text).toString('base64')}\n`
const plaintext = async (response: Response) =>
  (await response.text()).trim().split('\n').map(text => Buffer.from(text, 'base64').toString()).join('')

t.test('a request is opened, forwarded and answered, at any path', async t => {
  const { workload, send } = await setUp(t)
  for (const path of ['/any', PATH, `/root${PATH}`]) {
    const response = await send('PUT /inside?x=1', line('up') + line('load'), path)
    t.equal(response.headers.get('toy-status'), '200')
    t.match(
      JSON.parse(await plaintext(response)),
      { method: 'PUT', url: '/inside?x=1', body: Buffer.from('upload').toString('base64') }
    )
  }
  t.notOk('toy-target' in (workload.received[0]?.headers ?? {}), 'its own header stays here')
})

t.test('bodies stream both ways', async t => {
  const { proxy } = await setUp(t, (request, response) => { request.pipe(response) })
  const request = httpRequest(proxy.url, {
    method: 'POST', headers: { 'content-type': MEDIA_TYPE, 'toy-target': Buffer.from('POST /echo').toString('base64') }
  })
  request.write(line('first'))
  const [response] = await once(request, 'response') as [IncomingMessage]
  const pieces = response.setEncoding('latin1')[Symbol.asyncIterator]() as AsyncIterator<string>
  t.equal((await pieces.next()).value, line('first'), 'before the second was sent')
  request.end(line('second'))
  t.equal((await pieces.next()).value, line('second'))
  t.equal((await pieces.next()).done, true)
})

t.test('what it refuses is answered unencrypted before it is opened, and sealed after, and the log names ' +
  'it', async t => {
  const { workload, send, logged } = await setUp(t)
  const unopened = await send('', line('x'))
  t.equal(unopened.status, 400)
  t.match(await unopened.json(), { type: 'urn:polaris-secure-proxy:problem:cannot-open' })
  const refused = await send('GET /', '')
  t.equal(refused.headers.get('toy-status'), '421')
  t.match(JSON.parse(await plaintext(refused)), { type: 'urn:polaris-secure-proxy:problem:misdirected' })
  const broken = await send('POST /', `${line('fine')}not base64\n`)
  t.equal(broken.headers.get('toy-status'), '400')
  t.match(JSON.parse(await plaintext(broken)), { type: 'urn:polaris-secure-proxy:problem:cannot-open' })
  t.equal(
    (await send('POST /polaris-container/health', '')).headers.get('toy-status'), '404',
    'the proxy\'s own endpoints are not the workload\'s'
  )
  t.strictSame(logged().filter(({ msg }) => msg === 'request refused').map(
    ({ protocol, problem }) => [protocol, problem]
  ), [
    ['toy', 'cannot-open'], ['toy', 'misdirected'], ['toy', 'cannot-open'], ['toy', 'not-found']
  ])
  t.equal(workload.received.length, 0)
})

t.test('a POST of another protocol to its endpoint is refused, and elsewhere is the other protocol\'s', async t => {
  const { proxy } = await setUp(t)
  for (const [path, status] of [[PATH, 415], [`/root${PATH}`, 415], ['/any', 400]] as const) {
    t.equal(
      (await fetch(proxy.url + path, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'x' })).status,
      status, path
    )
  }
})

t.test('its key is served, listed and attested', async t => {
  const { proxy } = await setUp(t)
  for (const root of ['', '/root']) {
    for (const method of ['GET', 'HEAD']) {
      const response = await fetch(proxy.url + root + PATH, { method })
      t.equal(response.headers.get('content-type'), 'application/x-toy-key')
      t.equal(response.headers.get('cache-control'), 'public, max-age=7')
      t.equal(await response.text(), method === 'GET' ? KEY.toString() : '')
    }
  }
  const { keys } = await (await fetch(`${proxy.url}/polaris-container/keys`)).json() as { keys: { protocol: string }[] }
  t.strictSame([...new Set(keys.map(({ protocol }) => protocol))], ['toy', 'ohttp', 'polaris-v1'])
  const { protocols } = await (await fetch(`${proxy.url}/polaris-container/about`)).json() as { protocols: string[] }
  t.strictSame(protocols, ['toy', 'ohttp', 'polaris-v1'])
  const document = parseAttestationDocument(await (await fetch(`${proxy.url}/polaris-container/attestation`)).text())
  t.strictSame(document.keys.map(({ kind }) => kind), ['toy-key', 'ohttp-keys', 'polaris-v1-spki'])
  t.same(document.keys[0]?.value, KEY)
})

t.test('while it is off its path is not forwarded', async t => {
  const { proxy, workload } = await setUp(t, undefined, false)
  for (const method of ['GET', 'POST']) t.equal((await fetch(proxy.url + PATH, { method })).status, 404)
  t.equal(workload.received.length, 0)
})

t.test('two protocols of one name do not start', async t => {
  await t.rejects(
    startProxy(t, { workloadBaseUrl: 'http://127.0.0.1:9' }, { protocols: [toy(), toy()] }),
    /Two protocols have the name toy/
  )
})
