/**
 * Headers of the workload that are called like a property of every object are headers like any other. The one name that
 * the header objects of Node's libraries cannot hold is left out, and does no harm.
 */
import t from 'tap'
import { encapsulate, fetchKey, requestHead, send } from '../fixtures/ohttp-client.ts'
import { startProxy } from '../fixtures/proxy.ts'
import { rawExchange, startRawWorkload } from '../fixtures/raw.ts'

const NAMES = ['constructor', 'toString', 'hasOwnProperty']
const LEFT_OUT = '__proto__'
const lines = [LEFT_OUT, ...NAMES, LEFT_OUT, ...NAMES].map((name, i) => `${name}: ${i}\r\n`).join('')

t.test('unencrypted, and in both forms of OHTTP', async t => {
  const workload = await startRawWorkload(t, socket => {
    socket.end(`HTTP/1.1 200 OK\r\n${lines}content-length: 2\r\nconnection: close\r\n\r\nhi`)
  })
  const { url, port, log } = await startProxy(t, { workloadBaseUrl: workload.url })
  const answer = await rawExchange(t, port, 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  t.match(answer, /^HTTP\/1\.1 200 /)
  for (const name of NAMES) t.match(answer.toLowerCase(), `${name.toLowerCase()}: `, name)
  t.notMatch(answer, /__proto__|^\d+:/m)
  const key = await fetchKey(url)
  for (const chunked of [false, true]) {
    const request = await encapsulate(key, requestHead('GET', '/'), undefined, { chunked })
    const { status, headers, body } = await request.open(await send(url, request))
    t.equal(status, 200)
    t.equal(body.toString(), 'hi')
    for (const name of NAMES) t.ok(headers.has(name.toLowerCase()), `${name}, ${chunked ? 'chunked' : 'not chunked'}`)
    t.strictSame([...headers.keys()].filter(name => name === LEFT_OUT || /^\d/.test(name)), [])
  }
  t.notOk(log.some(line => line.includes('"level":50')))
})
