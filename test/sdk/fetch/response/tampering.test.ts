/** Whoever is on the way learns nothing, and what they cut off or change is never taken for the workload's answer. */
import t from 'tap'
import { createPolarisFetch } from '../../../../sdk/index.ts'
import { startMeddler } from '../../../fixtures/meddler.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

const ANSWER = ['the first part, ', 'the second, ', 'the last']

let goOn: () => void = () => undefined
const workload = await startWorkload(t, (request, response) => {
  request.resume()
  response.setHeader('x-secret', 'header-of-the-answer')
  response.write(ANSWER[0])
  const last = () => response.end(ANSWER[2])
  goOn = () => {
    response.write(ANSWER[1])
    setImmediate(last)
  }
  if (request.url !== '/held') setImmediate(goOn)
})
const proxy = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true })

t.test('an observer finds nothing of the request and the response', async t => {
  const meddler = await startMeddler(t, proxy.url)
  const polarisFetch = createPolarisFetch({ baseURL: meddler.url })
  const response = await polarisFetch(
    '/secret-path?secret=query',
    { method: 'PATCH', headers: { authorization: 'Bearer secret-token' }, body: 'secret body' }
  )
  t.equal(await response.text(), ANSWER.join(''))
  const seen = meddler.seen().toString('latin1')
  t.match(seen, /POST \/\.well-known\/ohttp-gateway HTTP\/1\.1/)
  for (const secret of ['secret', 'PATCH', 'first part', 'header-of-the-answer']) {
    for (const form of [
      secret, Buffer.from(secret).toString('base64').slice(0, -2), Buffer.from(secret).toString('hex')
    ]) {
      t.notOk(seen.includes(form), form)
    }
  }
  t.notOk(proxy.log.some(line => /secret-|first part|header-of/.test(line)), 'nor does the log')
})

for (const [method, answer] of [['GET', ANSWER.join('')], ['HEAD', '']] as const) {
  t.test(`a response to ${method} that is cut off anywhere is an error`, async t => {
    const meddler = await startMeddler(t, proxy.url)
    const polarisFetch = createPolarisFetch({ baseURL: meddler.url })
    await polarisFetch('/', { method })
    meddler.cutAt(Infinity)
    t.equal(await (await polarisFetch('/', { method })).text(), answer)
    const whole = meddler.passed()
    const head = whole.indexOf('\r\n\r\n') + 4
    t.ok(whole.length > head + 100)

    const offsets = [0, 1, head - 1, ...Array.from({ length: whole.length - head }, (_, i) => head + i)]
    for (const how of ['close', 'reset'] as const) {
      for (const offset of how === 'close' ? offsets : offsets.filter((_, i) => i % 7 === 0)) {
        meddler.cutAt(offset, how)
        const outcome = await polarisFetch('/', { method }).then(response => response.text()).catch(
          (error: { code: string }) => error.code
        )
        // The framing of the HTTP message may be cut off where the encapsulated one is whole. Its length varies a
        // little.
        const isWhole = outcome === answer && /\r\n(?:0(?:\r\n?\r?)?)?$/.test(
          meddler.passed().toString('latin1', 0, offset)
        )
        t.ok(
          isWhole || ['ERR_POLARIS_INCOMPLETE', 'ERR_POLARIS_CONNECTION', 'ERR_POLARIS_RESPONSE'].includes(outcome),
          `${how} after ${offset} octets: ${outcome}`
        )
      }
    }
  })
}

t.test('what came before the cut can be read, then the stream errors', async t => {
  const meddler = await startMeddler(t, proxy.url)
  const polarisFetch = createPolarisFetch({ baseURL: meddler.url })
  const response = await polarisFetch('/held')
  const reader = response.body!.getReader()
  t.equal(Buffer.from((await reader.read()).value ?? []).toString(), ANSWER[0])
  meddler.cutAt(0)
  goOn()
  await t.rejects(reader.read(), { name: 'PolarisFetchError', code: 'ERR_POLARIS_INCOMPLETE', message: /broke off/ })
})

t.test('an octet that is changed anywhere is an error, or changed nothing', async t => {
  const meddler = await startMeddler(t, proxy.url)
  const polarisFetch = createPolarisFetch({ baseURL: meddler.url })
  await polarisFetch('/')
  meddler.cutAt(Infinity)
  await (await polarisFetch('/')).text()
  const whole = meddler.passed()
  const head = whole.indexOf('\r\n\r\n') + 4
  for (let offset = 0; offset < whole.length; offset += offset < head ? 5 : 1) {
    meddler.flipAt(offset)
    const signal = AbortSignal.timeout(500)
    const outcome = await polarisFetch('/', { signal }).then(response => response.text()).catch(
      (error: { code: string | number, name: string }) => error
    )
    // Flips in the outer head may change a name that nobody looks at. In the body none may pass, nor may a wrong text.
    if (typeof outcome === 'string') t.equal(outcome, ANSWER.join(''), `at ${offset}`)
    else t.match(String(outcome.code), /^ERR_POLARIS_|^23$/, `at ${offset}: ${outcome.name}`)
  }
})

t.test('a response for another request is refused', async t => {
  const answers: Response[] = []
  let swap = false
  const swapping: typeof fetch = async (input, init) => {
    const response = await fetch(input, init)
    if (init?.method !== 'POST') return response
    answers.push(response.clone())
    return swap ? answers[0]! : response
  }
  const polarisFetch = createPolarisFetch({ baseURL: proxy.url, fetch: swapping })
  t.equal(await (await polarisFetch('/')).text(), ANSWER.join(''))
  swap = true
  await t.rejects(polarisFetch('/'), { code: 'ERR_POLARIS_RESPONSE', message: /changed on the way/ })
})
