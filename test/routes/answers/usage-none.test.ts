/** POLARIS_CONTAINER_USAGE: when nothing is said of an answer's token counts, and that nothing is by default. */
import t from 'tap'
import { adminOf } from '../../fixtures/metrics.ts'
import { exchangeBytes, startModes } from '../../fixtures/modes.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { readResponse } from '../../fixtures/raw-response.ts'
import { chatEvents, events, inHeader, listener, nowhere, reached, reported } from '../../fixtures/usage.ts'
import { startWorkload } from '../../fixtures/workload.ts'

t.setTimeout(300_000)

const workload = await startWorkload(t, listener)
const [, ...modes] = await startModes(t, workload.url, { usage: 'on' })

for (const mode of modes) {
  t.test(`${mode.name}: nothing is said of what has no counts, or too far in`, async t => {
    for (const target of [
      '/too-long-json', '/bomb', '/text', '/error', '/no-usage', '/no-usage-events', '/not-json', '/other-coding',
      '/none', '/forged'
    ]) {
      const answer = await mode.send({ target })
      t.same(reported(answer.outer), nowhere, target)
      t.equal(answer.status, target === '/error' ? 429 : target === '/none' ? 204 : 200, target)
    }
    const { outer } = await mode.send({ method: 'HEAD', target: '/chat' })
    t.same(reported(outer), nowhere, 'HEAD')
  })

  t.test(`${mode.name}: a client refuses inside of its request, and the workload sees nothing of it`, async t => {
    reached.clear()
    for (const value of ['no', 'NO', 'x, No', 'no,x']) {
      for (const target of ['/chat', '/chat-events']) {
        const answer = await mode.send({ target, headers: [['Polaris-Usage', value]] })
        t.same(reported(answer.outer), nowhere, `${target} ${value}`)
      }
    }
    const other = await mode.send({ target: '/chat', headers: [['polaris-usage', 'yes']] })
    t.same(reported(other.outer), inHeader)
    t.same([...reached], [undefined])
    if (mode.name === 'unencrypted' || mode.name === 'output only') return
    const outside = await mode.send({ target: '/chat' }, [['polaris-usage', 'no']])
    t.same(reported(outside.outer), inHeader, 'the outer request belongs to the network')
  })
}

t.test('HTTP/1.0 knows no trailers, and gets the stream', async t => {
  const plain = modes.find(({ name }) => name === 'unencrypted')
  const response = readResponse(
    await exchangeBytes(plain?.port ?? 0, 'GET /chat-events HTTP/1.0\r\nhost: x\r\n\r\n')
  )
  t.same(reported(response), nowhere)
  t.same(response.body.toString(), chatEvents.join(''))
})

t.test('an answer that breaks off while it is waited for is an error, and not of the process', async t => {
  for (const mode of modes) {
    const status = await mode.send({ target: '/breaks-in-json' }).then(({ status }) => status, () => 'cut off')
    t.ok(status === 502 || status === 'cut off', `${mode.name}: ${status}`)
  }
})

t.test('an answer that breaks off has no counts, and is cut off for the client, too', async t => {
  const breaking = await startWorkload(t, (request, response) => {
    request.resume()
    events(response).write(chatEvents.slice(0, 2).join(''))
    setTimeout(() => response.destroy(), 20)
  })
  const proxy = await startProxy(t, { workloadBaseUrl: breaking.url, usage: 'on', adminAddress: '127.0.0.1:0' })
  const response = readResponse(
    await exchangeBytes(proxy.port, 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  )
  t.equal(response.complete, false)
  t.equal(await adminOf(proxy.log).value('polaris_usage_answers_total'), undefined)
})

t.test('by default nothing is read, added or taken away', async t => {
  reached.clear()
  for (const mode of (await startModes(t, workload.url)).slice(1)) {
    t.same(reported((await mode.send({ target: '/chat' })).outer), nowhere, mode.name)
    t.same(reported((await mode.send({ target: '/chat-events' })).outer), nowhere, mode.name)
  }
  t.same([...reached], [undefined])
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
  const forged = await fetch(`${proxy.url}/forged`, { headers: { 'polaris-usage': 'no' } })
  t.ok(reached.has('no'))
  t.equal(forged.headers.get('polaris-usage'), 'input=1, output=1, total=2')
})
