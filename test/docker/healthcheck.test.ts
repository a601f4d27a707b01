/** The health check of the image, run as it is there, against listeners of each kind. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { RemoteError } from '../../lib/remote/error.ts'
import { createAuthority } from '../fixtures/certificates.ts'
import { startProxy } from '../fixtures/proxy.ts'
import { servingTls, tlsPort } from '../fixtures/tls.ts'
import { startWorkload } from '../fixtures/workload.ts'

t.setTimeout(200_000)
const PROGRAM = join(import.meta.dirname, '../../docker/healthcheck.ts')
const workload = await startWorkload(t)
const attested = { workloadBaseUrl: workload.url, tls: 'attested', tlsPort: 0 } as const

/** Its exit status. */
function check (environment: NodeJS.ProcessEnv): Promise<unknown> {
  return new Promise(resolve => {
    execFile(
      process.execPath, [PROGRAM], { env: { HTTPS_PROXY: 'http://127.0.0.1:9', ...environment } },
      error => resolve(error === null ? 0 : error.code)
    )
  })
}

const overTls = (port: number) => check({ PORT: 'off', POLARIS_CONTAINER_TLS_PORT: String(port) })

t.test('it passes on the plain port, and fails if nothing listens', async t => {
  const { port, close } = await startProxy(t, { workloadBaseUrl: workload.url })
  t.equal(await check({ PORT: String(port) }), 0)
  await close()
  t.equal(await check({ PORT: String(port) }), 1)
})

t.test('without a plain port it passes on that of TLS, and fails if nothing listens', async t => {
  const proxy = await startProxy(t, attested)
  const port = await servingTls(proxy)
  t.equal(await overTls(port), 0)
  await proxy.close()
  t.equal(await overTls(port), 1)
})

t.test('a proxy that wants certificates of its clients is alive', async t => {
  const file = join(t.testdir(), 'ca.pem')
  writeFileSync(file, createAuthority('clients').certPem)
  t.equal(await overTls(await servingTls(await startProxy(t, { ...attested, tlsClientCa: file }))), 0)
})

t.test('a proxy that waits for evidence, and finishes no handshake before, is alive', async t => {
  const away = async () => { throw new RemoteError('transient', 'Away', { providerCode: 'AWAY', advice: 'Wait' }) }
  const proxy = await startProxy(t, attested, { attester: { type: 'simulated', evidence: away } })
  t.equal(await overTls(await tlsPort(proxy)), 0)
})
