/** What was decrypted, and what decrypts, is in no line of the log, at any level, whatever goes wrong. */
import t from 'tap'
import { encodeRequest } from '../../../lib/protocols/bhttp/writer.ts'
import { encapsulateRequest, startChunkedExchange } from '../../../sdk/ohttp/client.ts'
import { encapsulate, fetchKey, requestHead, send } from '../../fixtures/ohttp-client.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { startRawWorkload } from '../../fixtures/raw.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const MARK = 'm4rk3r'

const head = (method: string) => requestHead(
  method, `/${MARK}-path?q=${MARK}-query`, [['x-secret', `${MARK}-field`], ['authorization', `Bearer ${MARK}-token`]]
)

t.test('nothing of requests and responses, well or badly ended, is logged', async t => {
  const answer = `HTTP/1.1 200 OK\r\nx-answer: ${MARK}-answer\r\n`
  const workloads = {
    well: (await startWorkload(t, (request, response) => {
      request.resume().once(
        'end', () => response.setHeader('x-answer', `${MARK}-answer`).end(`${MARK}-body`)
      )
    })).url,
    down: 'http://127.0.0.1:9',
    garbage: (await startRawWorkload(t, socket => { socket.end(`${MARK} garbage\r\n`) })).url,
    'bad header': (await startRawWorkload(t, socket => { socket.end(`${answer}bad\x01${MARK}: x\r\n\r\n`) })).url,
    'cut short': (await startRawWorkload(
      t, socket => { socket.end(`${answer}content-length: 100\r\n\r\n${MARK}-body`) }
    )).url,
    hangs: (await startRawWorkload(t, () => undefined)).url
  }
  for (const [name, workloadBaseUrl] of Object.entries(workloads)) {
    const { url, log } = await startProxy(
      t, { workloadBaseUrl, workloadHeadersTimeout: '200ms', ohttpAllowedAuthorities: 'workload.example' }
    )
    const key = await fetchKey(url)
    for (const chunked of [true, false]) {
      for (const method of ['GET', 'POST', 'BREW']) {
        const content = method === 'POST' ? Buffer.from(`${MARK}-content`) : undefined
        const request = await encapsulate(key, head(method), content, { chunked })
        const response = await send(url, request)
        await response.arrayBuffer().catch(error => t.comment(`${name}: ${String(error)}`))
        await (await send(url, request)).arrayBuffer()
      }
      for (const refused of [
        { ...head('GET'), authority: `${MARK}.example` },
        { ...head('GET'), headers: [['date', `${MARK}-date`]] as const }, head('CONNECT')
      ]) {
        const request = await encapsulate(key, refused, undefined, { chunked })
        await (await send(url, request)).arrayBuffer()
      }
    }
    t.ok(log.length > 5)
    t.notMatch(log.join(''), new RegExp(MARK), name)
  }
})

t.test('nor is anything of what was decrypted and is no HTTP', async t => {
  const workload = await startWorkload(t)
  const { url, log } = await startProxy(t, { workloadBaseUrl: workload.url })
  const config = await fetchKey(url)
  const [suite] = config.suites
  if (suite === undefined) throw new Error('no suite')
  const valid = Buffer.from(encodeRequest(head('POST'), { content: Buffer.from(`${MARK}-content`) }))
  for (const message of [
    Buffer.from(MARK), valid.subarray(0, -3), Buffer.concat([valid, Buffer.from(MARK)]),
    Buffer.from(valid.toString('latin1').replace('x-secret', 'x secret'), 'latin1')
  ]) {
    const oneShot = await encapsulateRequest({ config, suite }, message)
    const chunked = await (await startChunkedExchange({ config, suite })).seal(message)
    for (const [contentType, body] of [
      ['message/ohttp-req', oneShot.message], ['message/ohttp-chunked-req', chunked]
    ] as const) {
      const response = await fetch(url, { method: 'POST', headers: { 'content-type': contentType }, body })
      t.equal(response.status, 200)
      await response.arrayBuffer()
    }
  }
  t.notMatch(log.join(''), new RegExp(MARK))
})
