/** The four modes: which requests are let in, and what is sealed. */
import t from 'tap'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { v1Client } from '../../fixtures/v1-client.ts'
import { startWorkload } from '../../fixtures/workload.ts'

type Outcome = 'in clear' | 'sealed' | 'encryption-required' | 'response-key-required'

/** What becomes of a plain request, a plain one with a response key, an encrypted one without, and one with it. */
const modes: Array<[
  string, ConfigInput, Record<'plain' | 'plainWithKey' | 'encrypted' | 'encryptedWithKey', Outcome>
]> = [
  ['none', {}, { plain: 'in clear', plainWithKey: 'in clear', encrypted: 'in clear', encryptedWithKey: 'in clear' }],
  ['input only', { enableInputEncryption: true }, {
    plain: 'encryption-required',
    plainWithKey: 'encryption-required',
    encrypted: 'in clear',
    encryptedWithKey: 'in clear'
  }],
  ['output only', { enableOutputEncryption: true }, {
    plain: 'response-key-required',
    plainWithKey: 'sealed',
    encrypted: 'response-key-required',
    encryptedWithKey: 'sealed'
  }],
  ['both', { enableInputEncryption: true, enableOutputEncryption: true }, {
    plain: 'encryption-required',
    plainWithKey: 'encryption-required',
    encrypted: 'response-key-required',
    encryptedWithKey: 'sealed'
  }],
  ['both, v1 turned off', { enableInputEncryption: true, enableOutputEncryption: true, enableV1: false }, {
    plain: 'encryption-required',
    plainWithKey: 'encryption-required',
    encrypted: 'encryption-required',
    encryptedWithKey: 'encryption-required'
  }]
]

for (const [name, config, outcomes] of modes) {
  t.test(`mode ${name}`, async t => {
    const workload = await startWorkload(t)
    const { url } = await startProxy(t, { workloadBaseUrl: workload.url, ...config })
    const client = await v1Client(url)
    const requests = {
      plain: { headers: { 'x-y': 'z' }, body: 'text' },
      plainWithKey: { headers: { 'x-y': 'z', 'polaris-response-public-key': client.responseKey }, body: 'text' },
      encrypted: await client.request(
        { target: '/inside', headers: { 'x-y': 'z' }, body: 'text', sealedResponse: false }
      ),
      encryptedWithKey: await client.request({ target: '/inside', headers: { 'x-y': 'z' }, body: 'text' })
    }
    for (const [kind, outcome] of Object.entries(outcomes)) {
      const { headers, body } = requests[kind as keyof typeof requests]
      const response = await fetch(`${url}/outside`, { method: 'POST', headers, body })
      const received = workload.received.splice(0)
      if (outcome === 'in clear' || outcome === 'sealed') {
        t.equal(response.status, 200, `${kind}: ${outcome}`)
        const text = outcome === 'sealed' ? (await client.open(response)).toString() : await response.text()
        const opened = config.enableInputEncryption === true
        t.match(JSON.parse(text), opened
          ? { url: '/inside', headers: { 'x-y': 'z' }, body: Buffer.from('text').toString('base64') }
          : { url: '/outside' })
        t.equal(received.length, 1)
        t.notOk(Object.keys(received[0]?.headers ?? {}).some(header => header.startsWith('polaris-')))
      } else {
        t.equal(response.status, 400, `${kind}: ${outcome}`)
        t.match(await response.json(), { type: `urn:polaris-secure-proxy:problem:${outcome}` })
        t.same(received, [])
      }
    }
  })
}

t.test('output only: the workload is asked for identity encoding, once', async t => {
  const workload = await startWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, enableOutputEncryption: true })
  const client = await v1Client(url)
  await fetch(url, { headers: { 'polaris-response-public-key': client.responseKey, 'accept-encoding': 'gzip' } })
  const raw = workload.received[0]?.rawHeaders ?? []
  t.same(raw.filter((_, i) => raw[i - 1]?.toLowerCase() === 'accept-encoding'), ['identity'])
})

t.test('output only: a key that cannot be sealed to is refused', async t => {
  const workload = await startWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, enableOutputEncryption: true })
  const response = await fetch(url, { headers: { 'polaris-response-public-key': 'garbage' } })
  t.equal(response.status, 400)
  t.match(await response.json(), { type: 'urn:polaris-secure-proxy:problem:response-key-required' })
  t.same(workload.received, [])
})
