/**
 * Every recorded message, over HTTP: valid ones open, invalid ones get one and the same answer, wherever they stand.
 */
import { createCipheriv, createHash } from 'node:crypto'
import t from 'tap'
import { fixedKey, startProxy } from '../../fixtures/proxy.ts'
import { v1Client } from '../../fixtures/v1-client.ts'
import { ABSENT, loadVectors } from '../../fixtures/vectors.ts'
import type { PolarisV1Vectors } from '../../fixtures/vectors.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const vectors = loadVectors<PolarisV1Vectors>('polaris-v1.json')
// One client's headers stand beside each message, which only a proxy without memory of messages accepts.
const modes = { enableInputEncryption: true, enableOutputEncryption: true, v1ReplayProtection: false }

function fromSeed (seed: string, bytes: number): Buffer {
  const blocks: Buffer[] = []
  for (let i = 0; i * 32 < bytes; i++) {
    const counter = Buffer.alloc(4)
    counter.writeUInt32BE(i)
    blocks.push(createHash('sha256').update(seed).update(counter).digest())
  }
  return Buffer.concat(blocks).subarray(0, bytes)
}

if (vectors === undefined) t.plan(0, ABSENT)
else {
  const { keys, valid, invalid } = vectors

  t.test('valid messages open', async t => {
    const workload = await startWorkload(t)
    const { url } = await startProxy(
      t, { workloadBaseUrl: workload.url, ...modes }, { keyProvider: await fixedKey(keys.server.privatePem) }
    )
    const { headers } = await (await v1Client(url)).request({ target: '/x' })
    for (const { name, message, messageHead, plaintextSeed, plaintextBytes, plaintextSha256, aesKey, iv } of valid) {
      const cipher = createCipheriv('aes-256-gcm', Buffer.from(aesKey, 'hex'), Buffer.from(iv, 'hex'))
      const body = message === undefined
        ? Buffer.concat(
          [Buffer.from(messageHead ?? '', 'base64'), cipher.update(fromSeed(plaintextSeed ?? '', plaintextBytes))]
        )
        : Buffer.from(message, 'base64')
      const response = await fetch(url, { method: 'POST', headers, body: new Uint8Array(body) })
      t.equal(response.status, 200, name)
      t.equal(createHash('sha256').update(workload.received.pop()?.body ?? '').digest('hex'), plaintextSha256)
    }
  })

  t.test('a recorded path reaches the workload without its fragment', async t => {
    const workload = await startWorkload(t)
    const { url } = await startProxy(
      t, { workloadBaseUrl: workload.url, enableInputEncryption: true },
      { keyProvider: await fixedKey(keys.server.privatePem) }
    )
    for (const { message, plaintext } of valid.filter(({ name }) => name.startsWith('url'))) {
      await fetch(url, { headers: { 'polaris-url': message ?? '' } })
      t.equal(workload.received.pop()?.url, Buffer.from(plaintext ?? '', 'base64').toString().replace(/#.*/, ''))
    }
  })

  t.test('messages to be rejected get one byte-identical answer as body, as url and as headers', async t => {
    const workload = await startWorkload(t)
    const { url } = await startProxy(
      t, { workloadBaseUrl: workload.url, ...modes }, { keyProvider: await fixedKey(keys.server.privatePem) }
    )
    const client = await v1Client(url)
    const good = (await client.request({ target: '/x' })).headers
    const answers = new Set<string>()
    for (const { name, message } of invalid.filter(({ mustReject }) => mustReject)) {
      const places: Array<[string, RequestInit]> = [
        ['as polaris-url', { headers: { ...good, 'polaris-url': message } }],
        ['as polaris-secure', { headers: { ...good, 'polaris-secure': message } }]
      ]
      // Without octets there is no body, which is fine.
      if (message !== '') {
        places.push(['as body', { method: 'POST', headers: good, body: Buffer.from(message, 'base64') }])
      }
      for (const [place, init] of places) {
        const response = await fetch(url, init)
        t.equal(response.status, 400, `${name} ${place}`)
        const { date, ...headers } = Object.fromEntries(response.headers)
        const { requestId } = await response.clone().json() as { requestId: string }
        answers.add(JSON.stringify([headers, (await response.text()).replace(requestId, 'id')]))
      }
    }
    t.equal(answers.size, 1, [...answers].join('\n'))
    t.match([...answers][0], 'urn:polaris-secure-proxy:problem:cannot-open')
    t.same(workload.received, [])
  })

  t.test('messages that are only unusual open', async t => {
    const workload = await startWorkload(t)
    const keyProvider = await fixedKey(keys.server.privatePem)
    const { url } = await startProxy(t, { workloadBaseUrl: workload.url, ...modes }, { keyProvider })
    const { headers } = await (await v1Client(url)).request({ target: '/x' })
    for (const { name, message } of invalid.filter(({ mustReject }) => !mustReject)) {
      const response = await fetch(url, { method: 'POST', headers, body: Buffer.from(message, 'base64') })
      t.equal(response.status, 200, name)
    }
  })
}
