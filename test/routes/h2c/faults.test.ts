/**
 * Whatever is wrong with a workload of HTTP/2, the client learns its kind and nothing else, takes nothing incomplete
 * for whole, and the proxy serves on.
 */
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { startFrameWorkload, startH2cWorkload } from '../../fixtures/h2c.ts'
import { FRAME, block, frame } from '../../fixtures/http2.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawClient, startRawWorkload } from '../../fixtures/raw.ts'

const SECRET = 'hunter2'
/** In HPACK's static table. */
const OK = 8
const ok = (stream: number) => frame(FRAME.headers, 4, stream, block([OK]))
const code = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

async function problemOf (t: Test, workloadBaseUrl: string, config: ConfigInput = {}, init: RequestInit = {}) {
  const proxy = await startProxy(t, { workloadBaseUrl, ...config })
  const answer = await fetch(proxy.url, init)
  const body = await answer.text()
  t.notMatch(body + proxy.log.join(''), SECRET)
  t.notMatch(body, /127\.0\.0\.1|ERR_|UND_/)
  t.equal((await fetch(`${proxy.url}/polaris-container/livez`)).status, 200)
  return `${answer.status} ${(JSON.parse(body) as { type: string }).type.split(':').at(-1)}`
}

for (const [name, greeting, expected] of [
  ['closes at once', '', '502 upstream-unreachable'],
  ['speaks HTTP/1.1', `HTTP/1.1 400 Bad Request\r\nx: ${SECRET}\r\n\r\n`, '502 upstream-invalid'],
  ['sends garbage', `SSH-2.0-${SECRET}\r\n`, '502 upstream-invalid']
] as const) {
  t.test(`a workload that ${name}: ${expected}`, async t => {
    const { url } = await startRawWorkload(t, socket => socket.end(greeting))
    t.equal(await problemOf(t, url.replace('http', 'h2c')), expected)
  })
}

type OnHeaders = (stream: number, send: (...frames: Uint8Array[]) => void, end: () => void) => void
const large = Array.from({ length: 20 }, (_, i) => [`x-${i}`, `${SECRET}${'y'.repeat(8000)}`] as const)
const faults: readonly (readonly [string, string, OnHeaders])[] = [
  ['resets the stream', '502 upstream-unreachable', (id, send) => send(frame(FRAME.reset, 0, id, code(2)))],
  ['resets it without an error', '502 upstream-unreachable', (id, send) => send(frame(FRAME.reset, 0, id, code(0)))],
  ['cancels it', '502 upstream-unreachable', (id, send) => send(frame(FRAME.reset, 0, id, code(8)))],
  ['refuses it', '502 upstream-unreachable', (id, send) => send(frame(FRAME.reset, 0, id, code(7)))],
  [
    'says GOAWAY with an error', '502 upstream-unreachable',
    (_id, send, end) => {
      send(frame(FRAME.goaway, 0, 0, Buffer.concat([code(0), code(2), Buffer.from(SECRET)])))
      end()
    }
  ],
  [
    'says GOAWAY before the stream', '502 upstream-unreachable',
    (_id, send, end) => { send(frame(FRAME.goaway, 0, 0, Buffer.concat([code(0), code(0)]))); end() }
  ],
  ['breaks off', '502 upstream-unreachable', (_id, _send, end) => end()],
  [
    'sends a header of one connection', '502 upstream-invalid',
    (id, send) => send(frame(FRAME.headers, 5, id, block([OK, ['connection', 'close']])))
  ],
  ['sends no status', '502 upstream-invalid', (id, send) => send(frame(FRAME.headers, 5, id, block([['x', 'y']])))],
  [
    'sends a status past 599', '502 upstream-invalid',
    (id, send) => send(frame(FRAME.headers, 5, id, block([[':status', '600']])))
  ],
  [
    'contradicts its length', '502 upstream-invalid',
    (id, send) => send(
      frame(FRAME.headers, 4, id, block([OK, ['content-length', '3']])), frame(FRAME.data, 1, id, Buffer.from(SECRET))
    )
  ],
  ['sends content before its headers', '502 upstream-invalid', (id, send) => send(frame(FRAME.data, 1, id, code(1)))],
  ['sends headers of 160 KB', '502 upstream-invalid', (id, send) => {
    const bytes = block([OK, ...large])
    send(frame(FRAME.headers, 0, id, bytes.subarray(0, 16_000)))
    for (let at = 16_000; at < bytes.length; at += 16_000) {
      const isLast = at + 16_000 >= bytes.length
      send(frame(FRAME.continuation, isLast ? 4 : 0, id, bytes.subarray(at, at + 16_000)))
    }
  }],
  ['sends headers without end', '502 upstream-invalid', (id, send) => {
    send(frame(FRAME.headers, 0, id, block([OK])))
    for (let i = 0; i < 200; i++) send(frame(FRAME.continuation, 0, id, block([['x', SECRET.repeat(100)]])))
  }],
  ['sends interim responses without end', '502 upstream-invalid', (id, send) => {
    for (let i = 0; i < 150; i++) send(frame(FRAME.headers, 4, id, block([[':status', '103']])))
  }]
]

for (const [name, expected, onHeaders] of faults) {
  t.test(`a workload that ${name}: ${expected}`, async t => {
    const url = await startFrameWorkload(t, (type, stream, send, socket) => {
      if (type === FRAME.headers) onHeaders(stream, send, () => socket.end())
    })
    t.equal(await problemOf(t, url), expected)
    t.equal(await problemOf(t, url, {}, { method: 'POST', body: 'x'.repeat(200_000) }), expected, 'with a body')
  })
}

t.test('a header with a control character is dropped, and a pushed stream refused', async t => {
  const url = await startFrameWorkload(t, (type, id, send) => {
    if (type !== FRAME.headers) return
    send(frame(5, 4, id, Buffer.concat([code(2), block([2, 7, 4])])))
    send(frame(FRAME.headers, 4, id, block([OK, ['x-y', `${SECRET}\x00`], ['x-z', 'z']])))
    send(frame(FRAME.data, 1, id, Buffer.from('whole')))
  })
  const proxy = await startProxy(t, { workloadBaseUrl: url })
  const answer = await fetch(proxy.url)
  t.equal(answer.headers.get('x-y'), null)
  t.equal(answer.headers.get('x-z'), 'z')
  t.equal(await answer.text(), 'whole')
})

t.test('a workload that says nothing is 504: of its connection, and of its answer', async t => {
  const deaf = await startRawWorkload(t, () => undefined)
  t.equal(
    await problemOf(t, deaf.url.replace('http', 'h2c'), { workloadConnectTimeout: '1s' }), '504 upstream-timeout'
  )
  const silent = await startFrameWorkload(t, () => undefined)
  for (const init of [{}, { method: 'POST', body: 'x'.repeat(200_000) }]) {
    t.equal(await problemOf(t, silent, { workloadHeadersTimeout: '1s' }, init), '504 upstream-timeout')
  }
  const noStreams = frame(FRAME.settings, 0, 0, Buffer.from('000300000000', 'hex'))
  const none = await startFrameWorkload(t, () => undefined, noStreams)
  t.equal(await problemOf(t, none, { workloadConnectTimeout: '1s' }), '504 upstream-timeout', 'no streams allowed')
})

for (const [name, onHeaders] of [
  ['breaks off', (_id, _send, end) => end()],
  ['resets', (id, send) => send(frame(FRAME.reset, 0, id, code(2)))],
  ['resets without an error', (id, send) => send(frame(FRAME.reset, 0, id, code(0)))],
  ['cancels', (id, send) => send(frame(FRAME.reset, 0, id, code(8)))],
  ['says GOAWAY', (_id, send, end) => { send(frame(FRAME.goaway, 0, 0, Buffer.concat([code(0), code(2)]))); end() }],
  ['falls silent', () => undefined],
  ['sends what is no frame', (_id, send) => send(Buffer.alloc(40, 0xff))]
] as const satisfies readonly (readonly [string, OnHeaders])[]) {
  for (const version of ['1.0', '1.1']) {
    t.test(`a workload that ${name} within its answer: nothing that looks complete, HTTP/${version}`, async t => {
      const url = await startFrameWorkload(t, (type, stream, send, socket) => {
        if (type !== FRAME.headers) return
        send(ok(stream), frame(FRAME.data, 0, stream, Buffer.from('part')))
        setTimeout(100).then(() => onHeaders(stream, send, () => socket.end()))
      })
      const proxy = await startProxy(t, { workloadBaseUrl: url, workloadIdleTimeout: '1s' })
      const client = await rawClient(t, proxy.port)
      client.send(`GET / HTTP/${version}\r\nhost: x\r\n\r\n`)
      const text = await client.end
      t.match(text, 'part')
      t.notMatch(text, '\r\n0\r\n\r\n')
      t.equal((await fetch(`${proxy.url}/polaris-container/livez`)).status, 200)
    })
  }
}

t.test('a connection that goes away takes no later request along', async t => {
  const workload = await startH2cWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  for (let i = 0; i < 5; i++) {
    t.equal((await fetch(url)).status, 200)
    for (const session of workload.sessions) {
      const closed = once(session, 'close')
      if (i % 2 === 0) session.close()
      else session.destroy()
      await closed
    }
    await setTimeout(20)
  }
})

t.test('a client that reads slowly, or sends slowly, is not taken for a silent workload', async t => {
  const workload = await startH2cWorkload(t, (request, response) => {
    if (request.method === 'POST') return request.pipe(response)
    response.end(Buffer.alloc(8 * 2 ** 20))
  })
  const proxy = await startProxy(t, {
    workloadBaseUrl: workload.url, workloadIdleTimeout: '1s', workloadHeadersTimeout: '1s', clientMinRate: 0
  })
  const reader = (await fetch(proxy.url)).body?.getReader()
  await setTimeout(2500)
  let bytes = 0
  for (;;) {
    const piece = await reader?.read()
    if (piece?.value === undefined) break
    bytes += piece.value.length
  }
  t.equal(bytes, 8 * 2 ** 20)
  const client = await rawClient(t, proxy.port)
  client.send('POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n')
  await setTimeout(1500)
  client.send('4\r\nlate\r\n0\r\n\r\n')
  t.match(await client.until('late'), '200 OK')
})
