/** Nothing decrypted is in any log line, at the most talkative level, whatever goes well or wrong. */
import { setTimeout } from 'node:timers/promises'
import type { Socket } from 'node:net'
import t from 'tap'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawClient, startRawWorkload } from '../../fixtures/raw.ts'
import { v1Client } from '../../fixtures/v1-client.ts'

const MARKERS = ['marker-url', 'marker-header', 'marker-body', 'marker-answer']
const target = '/marker-url?token=marker-url'
const head = 'HTTP/1.1 200 OK\r\nx-y: marker-answer\r\n'

const answers: Array<[string, (socket: Socket) => void]> = [
  ['answers', socket => socket.write(`${head}content-length: 13\r\n\r\nmarker-answer`)],
  [
    'answers with an error',
    socket => socket.write('HTTP/1.1 500 marker-answer\r\ncontent-length: 13\r\n\r\nmarker-answer')
  ],
  [
    'quotes secrets instead of HTTP', socket => socket.end('marker-answer: cannot parse marker-url marker-body\r\n\r\n')
  ],
  ['sends invalid headers', socket => socket.end(`${head}marker answer\r\n\r\n`)],
  ['sends an invalid status', socket => socket.end('HTTP/1.1 999 marker-answer\r\n\r\n')],
  ['sends too large headers', socket => socket.end(`${head}x-z: ${'marker-answer'.repeat(10_000)}\r\n\r\n`)],
  ['breaks off', socket => socket.end(`${head}content-length: 1000\r\n\r\nmarker-answer`)],
  ['breaks its chunked coding', socket => socket.end(`${head}transfer-encoding: chunked\r\n\r\nmarker-answer`)],
  [
    'sends an unknown coding',
    socket => socket.write(`${head}content-encoding: marker-answer\r\ncontent-length: 13\r\n\r\nmarker-answer`)
  ],
  ['closes', socket => socket.destroy()],
  ['says nothing', () => undefined]
]

const modes: Array<[string, ConfigInput]> = [
  ['input only', { enableInputEncryption: true }],
  ['both', { enableInputEncryption: true, enableOutputEncryption: true }],
  ['none', {}],
  ['output only', { enableOutputEncryption: true }]
]

for (const [mode, config] of modes) {
  for (const [name, answer] of answers) {
    t.test(`mode ${mode}, a workload that ${name}`, async t => {
      const workload = await startRawWorkload(t, socket => answer(socket))
      const { url, log } = await startProxy(
        t, { workloadBaseUrl: workload.url, workloadHeadersTimeout: '500ms', workloadIdleTimeout: '500ms', ...config }
      )
      const client = await v1Client(url)
      const encrypted = await client.request(
        { target, headers: { 'x-y': 'marker-header', authorization: 'marker-header' }, body: 'marker-body' }
      )
      const plain = {
        headers: { 'x-y': 'marker-header', 'polaris-response-public-key': client.responseKey }, body: 'marker-body'
      }
      const response = await fetch(
        url + target, { method: 'POST', ...config.enableInputEncryption ? encrypted : plain }
      )
      await response.text().catch((error: unknown) => t.match(error, { name: 'TypeError' }, 'cut off'))
      if (response.status >= 502) t.equal(response.headers.get('content-type'), 'application/problem+json')
      await setTimeout(50)
      t.ok(log.length > 0)
      for (const marker of MARKERS) t.notMatch(log.join(''), marker)
    })
  }
}

t.test('requests that cannot be opened, and clients that break off', async t => {
  const workload = await startRawWorkload(t, socket => socket.write(`${head}content-length: 13\r\n\r\nmarker-answer`))
  const { url, port, log } = await startProxy(t, {
    workloadBaseUrl: workload.url, clientIdleTimeout: '200ms', enableInputEncryption: true, enableOutputEncryption: true
  })
  const client = await v1Client(url)
  const good = await client.request({ target, body: 'marker-body' })
  const bad: Array<Record<string, string>> = [
    { 'polaris-url': await client.seal('marker-url') },
    { 'polaris-url': await client.seal('http://marker-url/') },
    { 'polaris-secure': await client.seal('{"x-y": marker-header}') },
    { 'polaris-secure': await client.seal('marker-header') },
    { 'polaris-secure': await client.seal('{"x y": "marker-header"}') },
    { 'polaris-secure': await client.seal('{"x-y": "marker-header\\n"}') },
    { 'polaris-secure': await client.seal('{"x-y": ["marker-header"]}') },
    { 'polaris-secure': await client.seal('{"__proto__": {"x": "marker-header"}}') }
  ]
  for (const headers of bad) {
    const response = await fetch(url, { method: 'POST', headers: { ...good.headers, ...headers } })
    t.equal(response.status, 400)
    for (const marker of MARKERS) t.notMatch(await response.clone().text(), marker)
  }
  for (const finish of [(socket: Socket) => socket.destroy(), (socket: Socket) => socket.end(), () => undefined]) {
    const broken = await rawClient(t, port)
    const lines = Object.entries(good.headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
    broken.send(`POST / HTTP/1.1\r\nhost: x\r\n${lines}content-length: ${good.body?.length}\r\n\r\n`)
    broken.send(good.body?.subarray(0, -5) ?? '')
    await setTimeout(50)
    finish(broken.socket)
    await broken.end
  }
  for (const marker of MARKERS) t.notMatch(log.join(''), marker)
  t.notMatch(log.join(''), /BEGIN|wrappedKey|authTag/)
})
