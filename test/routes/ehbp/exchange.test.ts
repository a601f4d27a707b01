/** EHBP over HTTP, by a client that shares no code with the proxy: what is sealed, what is not, and what is refused. */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { configFrom } from '../../../lib/config/config.ts'
import { ReplayStoreError } from '../../../lib/replay/store.ts'
import type { ReplayStore } from '../../../lib/replay/store.ts'
import { ehbpRequest, exchangeEhbp, fetchEhbpKey, frame, inPieces, sendEhbp } from '../../fixtures/ehbp-client.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const KEY_CONFIG = 'urn:ietf:params:ehbp:error:key-config'
const CANNOT_OPEN = 'urn:polaris-secure-proxy:problem:cannot-open'

async function start (t: Test, config: object = {}, listener?: Parameters<typeof startWorkload>[1]) {
  const workload = await startWorkload(t, listener)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, enableEhbp: true, ...config })
  return { workload, proxy, url: proxy.url, key: await fetchEhbpKey(proxy.url) }
}
type Test = Parameters<typeof startWorkload>[0]

const typeOf = async (response: Response) => (await response.json() as { type: string }).type

t.test('the key is one bare configuration, of the active X25519 key that OHTTP has too', async t => {
  const { url } = await start(t, { contextRoot: '/api' })
  for (const path of ['/.well-known/hpke-keys', '/api/.well-known/hpke-keys']) {
    const response = await fetch(url + path)
    t.equal(response.headers.get('content-type'), 'application/ohttp-keys')
    t.match(response.headers.get('cache-control'), /^public, max-age=\d+$/)
    const config = Buffer.from(await response.arrayBuffer()).toString('hex')
    t.match(config, /^000020[0-9a-f]{64}000400010002$/)
    const list = Buffer.from(await (await fetch(`${url}/.well-known/ohttp-gateway`)).arrayBuffer()).toString('hex')
    t.match(list, config.slice(6, 70))
  }
  const { protocols } = await (await fetch(`${url}/polaris-container/about`)).json() as { protocols: string[] }
  t.equal(protocols.includes('ehbp'), true)
})

t.test('without OHTTP, evidence covers the key all the same', async t => {
  const { url, key } = await start(t, { enableOhttp: false, attestationType: 'simulated' })
  const response = await fetch(`${url}/polaris-container/attestation?nonce=${'A'.repeat(43)}`)
  t.equal(response.status, 200)
  const document = JSON.stringify(await response.json())
  t.match(document, 'ohttp-keys')
  t.equal(
    [...document.matchAll(/[A-Za-z0-9_-]{60,}/g)].some(([text]) => Buffer.from(text, 'base64url').includes(key)), true
  )
})

for (const chunked of [false, true]) {
  t.test(`bodies are sealed, everything else is as it is, ${chunked ? 'streamed' : 'whole'}`, async t => {
    const { url, key, workload } = await start(t, { trustProxy: 'false' })
    const request = await ehbpRequest(key, 'hel', '', 'lo')
    const { status, headers, text } = await exchangeEhbp(`${url}/a?b=c`, request, {
      headers: {
        'accept-encoding': 'gzip, br', 'x-forwarded-for': '1.2.3.4', 'content-type': 'text/plain', 'x-a': 'b'
      },
      ...chunked && { body: inPieces(request.body, [3, 50]) }
    })
    t.equal(status, 200)
    t.equal(headers.get('content-type'), 'application/json')
    t.equal(headers.get('content-length'), null)
    t.match(JSON.parse(text), { method: 'POST', url: '/a?b=c', body: Buffer.from('hello').toString('base64') })
    const [received] = workload.received
    t.match(received?.headers, { 'x-a': 'b', 'content-type': 'text/plain', 'accept-encoding': 'identity' })
    t.equal(received?.headers['content-length'], chunked ? undefined : '5')
    for (const name of ['ehbp-encapsulated-key', 'ehbp-response-nonce', 'x-forwarded-for']) {
      t.notOk(name in received!.headers, name)
    }
  })
}

t.test('a body cut anywhere opens to the same', async t => {
  const { url, key } = await start(t)
  await fc.assert(fc.asyncProperty(fc.array(
    fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 5 }
  ), fc.array(fc.nat(), { maxLength: 5 }),
  async (pieces, offsets) => {
    const request = await ehbpRequest(key, ...pieces)
    const { text } = await exchangeEhbp(url, request, { body: inPieces(request.body, offsets) })
    return JSON.parse(text).body === Buffer.concat(pieces).toString('base64')
  }), { numRuns: 15 })
})

t.test('a large body goes through in frames, and one that is too large for a frame does not', async t => {
  const { url, key } = await start(t, { ohttpMaxBodyBytes: 2 ** 20 })
  const piece = randomBytes(2 ** 20 - 16)
  const request = await ehbpRequest(key, piece, piece)
  const { text } = await exchangeEhbp(url, request, { body: inPieces(request.body) })
  t.equal(JSON.parse(text).body === Buffer.concat([piece, piece]).toString('base64'), true)
  const tooLarge = await ehbpRequest(key, Buffer.alloc(2 ** 20))
  t.equal((await sendEhbp(url, tooLarge)).status, 413)
})

t.test('a request for another key is told so, and nothing is forwarded', async t => {
  const { url, workload } = await start(t)
  const other = await start(t)
  const response = await sendEhbp(url, await ehbpRequest(other.key, 'x'))
  t.equal(response.status, 422)
  t.match(response.headers.get('content-type'), 'application/problem+json')
  t.equal(response.headers.get('ehbp-response-nonce'), null)
  t.equal(await typeOf(response), KEY_CONFIG)
  t.equal(workload.received.length, 0)
})

t.test('what is malformed has one answer', async t => {
  const { url, key, workload } = await start(t)
  const { headers, body } = await ehbpRequest(key, 'x')
  const enc = headers['ehbp-encapsulated-key']!
  const cases: [name: string, enc: string, body: Uint8Array][] = [
    ['upper-case digits', 'A'.repeat(64), body],
    ['too few digits', enc.slice(2), body],
    ['too many digits', `${enc}00`, body],
    ['no digits', '', body],
    ['other characters', 'g'.repeat(64), body],
    ['two keys', `${enc}, ${enc}`, body],
    ['a key of small order', '0'.repeat(64), body],
    ['no body', enc, Buffer.alloc(0)],
    ['frames of no length only', enc, Buffer.alloc(8)],
    ['a frame shorter than its tag', enc, frame(Buffer.alloc(15))],
    ...Array.from(
      { length: body.length - 1 },
      (_, i): [string, string, Uint8Array] => [`only ${i + 1} bytes`, enc, body.subarray(0, i + 1)]
    )
  ]
  for (const [name, given, bytes] of cases) {
    for (const streamed of [false, true]) {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'ehbp-encapsulated-key': given },
        body: streamed ? inPieces(bytes) : Uint8Array.from(bytes),
        ...streamed && { duplex: 'half' }
      })
      t.equal(response.status, 400, name)
      t.equal(await typeOf(response), CANNOT_OPEN, name)
    }
  }
  t.equal(workload.received.length, 0)
})

t.test('no change to the first frame, or to the key, goes unnoticed', async t => {
  const { url, key, workload } = await start(t)
  await fc.assert(fc.asyncProperty(fc.nat(31 + 17), fc.integer({ min: 1, max: 255 }), async (at, change) => {
    const { headers, body } = await ehbpRequest(key, 'x')
    const bytes = Buffer.concat([Buffer.from(headers['ehbp-encapsulated-key']!, 'hex'), body.subarray(4)])
    bytes[at]! ^= change
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'ehbp-encapsulated-key': bytes.subarray(0, 32).toString('hex') },
      body: Uint8Array.from(frame(bytes.subarray(32)))
    })
    return response.status === 422
  }), { numRuns: 40 })
  t.equal(workload.received.length, 0)
})

t.test('a later frame that was changed, or is in the wrong place, is refused in a sealed answer, and the workload ' +
  'gets no whole body', async t => {
  const { url, key, workload } = await start(t)
  const spoilt: ((frames: readonly Buffer[]) => Buffer[])[] = [
    ([a, b, c]) => [a!, c!, b!],
    ([a, , c]) => [a!, c!],
    ([a, b]) => [a!, a!, b!],
    ([a, b, c]) => [a!, b!, Buffer.concat([c!.subarray(0, -1), Buffer.of(c!.at(-1)! ^ 1)])],
    ([a, b, c]) => [a!, b!, c!.subarray(0, -1)]
  ]
  for (const spoil of spoilt) {
    for (const streamed of [false, true]) {
      const request = await ehbpRequest(key, 'a', 'b', 'c')
      const body = Buffer.concat(spoil(request.frames))
      const { status, text } = await exchangeEhbp(
        url, { ...request, body }, streamed ? { body: inPieces(body, [30, 50]) } : {}
      )
      t.equal(status, 400)
      t.equal(JSON.parse(text).type, CANNOT_OPEN)
    }
  }
  t.equal(workload.received.length, 0)
})

t.test('a request is forwarded once', async t => {
  const { url, key, workload } = await start(t)
  const request = await ehbpRequest(key, 'a', 'b')
  t.equal((await exchangeEhbp(url, request)).status, 200)
  const shorter = { ...request, body: request.frames[0]! }
  for (const again of [request, shorter]) {
    for (const path of ['/', '/elsewhere']) {
      const response = await sendEhbp(url + path, again)
      t.equal(response.status, 400)
      t.equal(await typeOf(response), CANNOT_OPEN)
    }
  }
  t.equal(workload.received.length, 1)
})

t.test('a request without a body is a plain one, each way', async t => {
  const { url, workload } = await start(t)
  for (const method of ['GET', 'POST', 'DELETE']) {
    const response = await fetch(url, { method })
    t.equal(response.status, 200)
    t.equal(response.headers.get('ehbp-response-nonce'), null)
    t.equal((await response.json() as { method: string }).method, method)
  }
  t.equal(workload.received.length, 3)
})

t.test('if encryption is required, plaintext is refused, with a body and without', async t => {
  const { url, key, workload } = await start(t, { enableInputEncryption: true })
  for (const init of [{ method: 'GET' }, { method: 'POST' }, { method: 'POST', body: 'x' }]) {
    t.equal(await typeOf(await fetch(url, init)), 'urn:polaris-secure-proxy:problem:encryption-required')
  }
  t.equal(workload.received.length, 0)
  t.equal((await exchangeEhbp(url, await ehbpRequest(key, 'x'))).status, 200)
})

t.test('every answer after a request was opened is sealed', async t => {
  const statuses = [200, 204, 304, 404, 500]
  const { url, key, proxy } = await start(t, {}, ({ url }, response) => {
    const status = Number(url?.slice(1))
    if (status === 0) response.destroy()
    else response.writeHead(status).end([204, 304].includes(status) ? undefined : 'secret')
  })
  for (const status of statuses) {
    const answer = await exchangeEhbp(`${url}/${status}`, await ehbpRequest(key, 'x'))
    t.equal(answer.status, status)
    t.match(answer.headers.get('ehbp-response-nonce'), /^[0-9a-f]{64}$/)
    t.equal(answer.text, [204, 304].includes(status) ? '' : 'secret')
  }
  const down = await exchangeEhbp(`${url}/0`, await ehbpRequest(key, 'x'))
  t.equal(down.status, 502)
  t.equal(down.headers.get('content-type'), 'application/problem+json')
  t.match(JSON.parse(down.text), { status: 502 })
  t.notMatch(proxy.log.join(''), 'secret')
})

t.test('a response in a content coding is refused: clients would undo it before they decrypt', async t => {
  const { url, key } = await start(
    t, {}, (_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('x')
  )
  const { status, text } = await exchangeEhbp(url, await ehbpRequest(key, 'x'))
  t.equal(status, 502)
  t.match(JSON.parse(text).type, 'upstream-invalid')
})

t.test('pages of other origins may read and send the headers', async t => {
  const { url, key } = await start(t, { enableCors: true, corsOrigin: 'https://a.example' })
  const origin = 'https://a.example'
  const preflight = await fetch(url, {
    method: 'OPTIONS',
    headers: {
      origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'ehbp-encapsulated-key'
    }
  })
  t.equal(preflight.headers.get('access-control-allow-headers'), 'ehbp-encapsulated-key')
  const { headers } = await exchangeEhbp(url, await ehbpRequest(key, 'x'), { headers: { origin } })
  t.match(headers.get('access-control-expose-headers'), /\*|ehbp-response-nonce/i)
})

t.test('while it is off, its header and its path are the workload\'s', async t => {
  const workload = await startWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  await fetch(`${url}/.well-known/hpke-keys`)
  await fetch(url, { method: 'POST', headers: { 'ehbp-encapsulated-key': '00' }, body: 'x' })
  t.equal(workload.received[0]?.url, '/.well-known/hpke-keys')
  t.equal(workload.received[1]?.headers['ehbp-encapsulated-key'], '00')
})

t.test('it does not start if its requests cannot be remembered for as long as their keys live', t => {
  const workloadBaseUrl = 'http://127.0.0.1:9'
  const derived = { keyType: 'file', keyFile: '/x', hpkeSeed: 'derived' } as const
  t.throws(
    () => configFrom({ workloadBaseUrl, enableEhbp: true, hpkeRotation: '0' }),
    /ENABLE_EHBP cannot be true if .*HPKE_ROTATION is 0/
  )
  t.throws(
    () => configFrom({ workloadBaseUrl, enableOhttp: false, enableEhbp: true, ...derived }),
    /REPLAY_STORE must be a store that all replicas share/
  )
  t.doesNotThrow(() => configFrom({ workloadBaseUrl, enableEhbp: true, ...derived, replayStore: 'redis://x' }))
  t.doesNotThrow(() => configFrom({ workloadBaseUrl, enableOhttp: false, ...derived }))
  t.end()
})

t.test('when the replay store cannot tell, nothing is forwarded', async t => {
  const workload = await startWorkload(t)
  const replayStore: ReplayStore = {
    admit () { throw new ReplayStoreError('full') },
    problem: () => 'full',
    close: async () => undefined
  }
  const { url } = await startProxy(
    t, { workloadBaseUrl: workload.url, enableEhbp: true, enableOhttp: false }, { replayStore }
  )
  const response = await sendEhbp(url, await ehbpRequest(await fetchEhbpKey(url), 'x'))
  t.equal(response.status, 503)
  t.equal(await typeOf(response), 'urn:polaris-secure-proxy:problem:replay-store')
  t.equal(workload.received.length, 0)
  t.equal((await fetch(`${url}/polaris-container/readyz`)).status, 503)
})
