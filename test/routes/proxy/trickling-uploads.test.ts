/** Clients that send a byte now and then held all memory for buffered bodies, and everyone else got 503. */
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawClient, statusOf } from '../../fixtures/raw.ts'
import { v1Client } from '../../fixtures/v1-client.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const PART = 256 * 1024

interface Sealed { readonly headers: Readonly<Record<string, string>>, readonly body: Uint8Array | null }

/** Four clients hold the whole budget, each a byte every 200 ms, until they are answered. */
async function trickle (t: Test, port: number, seal: () => Promise<Sealed>) {
  return Promise.all(Array.from({ length: 4 }, async () => {
    const { headers, body } = await seal()
    const bytes = body ?? new Uint8Array(0)
    const client = await rawClient(t, port)
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
    client.send(`POST / HTTP/1.1\r\nhost: x\r\n${lines}content-length: ${bytes.length}\r\n\r\n`)
    let sent = PART
    client.send(bytes.subarray(0, sent))
    const timer = setInterval(() => { if (client.socket.writable) client.send(bytes.subarray(sent, ++sent)) }, 200)
    client.end.finally(() => clearInterval(timer))
    t.teardown(() => clearInterval(timer))
    return client
  }))
}

t.test('trickling v1 uploads give way to others', async t => {
  const workload = await startWorkload(
    t, (request, response) => { request.resume().on('end', () => response.end('ok')) }
  )
  const { url, port } = await startProxy(t, {
    workloadBaseUrl: workload.url,
    enableInputEncryption: true,
    enableOutputEncryption: true,
    maxBodyBytes: 2 ** 20,
    maxBufferedBytes: 2 ** 20
  })
  const client = await v1Client(url)
  const trickling = await trickle(t, port, () => client.request({ body: new Uint8Array(PART + 10_000) }))
  // Longer than it takes to tell that they trickle.
  await setTimeout(6_000)
  for (let i = 0; i < 3; i++) {
    const response = await fetch(url, { method: 'POST', ...await client.request({ body: new Uint8Array(PART) }) })
    t.equal(response.status, 200)
    t.equal((await client.open(response)).toString(), 'ok')
  }
  const first = await Promise.race(trickling.map(({ end }) => end))
  t.equal(statusOf(first), 503)
  t.match(first, 'urn:polaris-secure-proxy:problem:overloaded')
})
