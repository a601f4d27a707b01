/**
 * A gRPC client in Go, which trusts one TLS key, through the proxy to a server in Node: all kinds of calls, a failure,
 * a deadline and a cancellation, as if there were no proxy.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { startGrpcServer } from '../test/fixtures/grpc.ts'
import { startProxy } from '../test/fixtures/proxy.ts'
import { servingTls } from '../test/fixtures/tls.ts'
import { absent, tools } from './fixtures/tools.ts'

t.test('Go: calls of all kinds, over TLS with a pinned key', { skip: absent(tools.goGrpc) ?? false }, async t => {
  const server = await startGrpcServer(t)
  const proxy = await startProxy(
    t, { workloadBaseUrl: server.url, tls: 'attested', tlsPort: 0, tlsNames: 'localhost', enableInputEncryption: true }
  )
  const port = await servingTls(proxy)
  const { keys } = await (await fetch(`${proxy.url}/polaris-container/keys`)).json() as {
    keys: { protocol: string, keyId: string }[]
  }
  const pin = keys.find(({ protocol }) => protocol === 'tls')?.keyId ?? ''
  const call = promisify(execFile)
  t.equal((await call(tools.goGrpc, [`localhost:${port}`, pin], { timeout: 60_000 })).stdout, 'ok\n')
  t.same(server.metadata[0]?.get('x-text'), ['value'])
  t.ok(server.cancelled.includes('both'))
  const refused: unknown = await call(
    tools.goGrpc, [`localhost:${port}`, Buffer.alloc(32).toString('base64')], { timeout: 60_000 }
  ).catch((error: unknown) => error)
  t.match(refused, { stderr: /another key/ })
})
