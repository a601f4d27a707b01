/** TLS to the workload is verified, unless that is turned off. */
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { selfSigned } from '../../fixtures/certificate.ts'
import { startProxy } from '../../fixtures/proxy.ts'

async function startTlsWorkload (t: Test): Promise<string> {
  const server = createServer(selfSigned(), (_request, response) => { response.end('over TLS') }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('a certificate that nobody vouches for is refused', async t => {
  const { url, log } = await startProxy(t, { workloadBaseUrl: await startTlsWorkload(t) })
  const response = await fetch(url)
  t.equal(response.status, 502)
  t.match(await response.json(), { type: 'urn:polaris-secure-proxy:problem:upstream-unreachable' })
  t.match(log.join(''), /DEPTH_ZERO_SELF_SIGNED_CERT/, 'the operator is told why')
})

t.test('WORKLOAD_TLS_VERIFY=false accepts it, with a warning', async t => {
  const { url, log } = await startProxy(t, { workloadBaseUrl: await startTlsWorkload(t), workloadTlsVerify: false })
  t.equal(await (await fetch(url)).text(), 'over TLS')
  t.match(log.join(''), /certificate is not verified/)
})
