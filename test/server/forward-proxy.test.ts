/**
 * Services that are part of the TEE are reached directly, whatever the environment says of forward proxies: what the
 * sidecar, the launcher and the identity endpoint answer, private keys and tokens, is for no one else. A real forward
 * proxy listens here, and writes down what it is asked for.
 */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import t from 'tap'
import type { Test } from 'tap'
import { localService, unsignedToken } from '../fixtures/local-service.ts'
import { run, START } from '../fixtures/process.ts'
import { rsaKey } from '../fixtures/rsa.ts'
import { startSidecar } from '../fixtures/skr-sidecar.ts'
import { startWorkload } from '../fixtures/workload.ts'

async function forwardProxy (t: Test) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    response.writeHead(502).end()
  })
  server.on('connect', (request, socket) => {
    asked.push(`CONNECT ${request.url}`)
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

const named = (url: string) => Object.fromEntries(
  [
    'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy', 'grpc_proxy'
  ].map(name => [name, url]))

const ways: ReadonlyArray<readonly [name: string, env: (url: string) => Record<string, string>]> = [
  ['NODE_USE_ENV_PROXY', url => ({ ...named(url), NODE_USE_ENV_PROXY: '1' })],
  ['NODE_OPTIONS=--use-env-proxy', url => ({ ...named(url), NODE_OPTIONS: '--use-env-proxy' })],
  ['the variables alone', named]
]

async function start (t: Test, env: Record<string, string>) {
  const server = run(t, START, { PORT: '0', ...env })
  const [url = ''] = /http:\/\/[\d.]+:\d+/.exec(await server.line(/Server listening at/)) ?? []
  return { server, url }
}

for (const [name, env] of ways) {
  t.test(`${name}: the sidecar and the workload are reached directly`, async t => {
    const proxy = await forwardProxy(t)
    const workload = await startWorkload(t)
    const key = rsaKey()
    const sidecar = await startSidecar({ proxy: key })
    t.teardown(() => sidecar.close())
    const { server, url } = await start(t, {
      ...env(proxy.url),
      POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url,
      POLARIS_CONTAINER_KEY_TYPE: 'azure-skr',
      POLARIS_CONTAINER_AZURE_SKR_KEY_RELEASE_ENDPOINT: sidecar.url,
      POLARIS_CONTAINER_AZURE_SKR_MAA_ENDPOINT: 'maa.example',
      POLARIS_CONTAINER_AZURE_SKR_AKV_ENDPOINT: 'vault.example',
      POLARIS_CONTAINER_AZURE_SKR_KID: 'proxy',
      // As `echo … | base64` makes it.
      POLARIS_CONTAINER_AZURE_SKR_ACCESS_TOKEN: 'token\n',
      POLARIS_CONTAINER_ATTESTATION_TYPE: 'azure-snp'
    })
    await server.line(/"keys ready"/)
    t.match(sidecar.requests.find(({ path }) => path === '/key/release'), { body: { access_token: /^token$/ } })
    t.equal((await fetch(`${url}/plain`)).status, 200)
    await server.line(/attestation evidence/)
    t.ok(sidecar.requests.some(({ path }) => path === '/attest/combined'), 'evidence was asked for, too')
    t.same(proxy.asked, [])
  })

  t.test(`${name}: the vault, which is outside, is reached by what the operator says`, async t => {
    const proxy = await forwardProxy(t)
    const { server } = await start(t, {
      ...env(proxy.url),
      NO_PROXY: '127.0.0.9',
      POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://127.0.0.1:9',
      POLARIS_CONTAINER_KEY_TYPE: 'azure-key-vault',
      POLARIS_CONTAINER_AZURE_KEY_VAULT_URL: 'https://vault.example',
      POLARIS_CONTAINER_AZURE_KEY_VAULT_KEY: 'proxy',
      POLARIS_CONTAINER_AZURE_KEY_VAULT_MODE: 'remote',
      POLARIS_CONTAINER_KEY_FETCH_DEADLINE: '0'
    })
    await server.line(/"keys failed"/)
    // Through a tunnel, and nothing else. This one leads nowhere.
    t.same(new Set(proxy.asked), new Set(['CONNECT vault.example:443']))
  })
}

/** Runs code with this environment and no other, and gives what it prints. */
async function printed (code: string, env: Record<string, string>, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath, ['--input-type=module', '--eval', code, ...args], { env: { PATH: process.env['PATH'], ...env } }
  )
  return stdout
}

const identifying = `
  import { createAzureCredential } from '${new URL('../../lib/platforms/azure/credential.ts', import.meta.url).href}'
  console.log((await createAzureCredential('managed-identity').getToken('https://vault.azure.net/.default')).token)
`
for (const [name, env] of ways) {
  t.test(`${name}: tokens of identity endpoints never pass a forward proxy`, async t => {
    const endpoints: readonly ((url: string) => Record<string, string>)[] = [
      url => ({ AZURE_POD_IDENTITY_AUTHORITY_HOST: url }),
      url => ({ IDENTITY_ENDPOINT: `${url}/msi/token`, IDENTITY_HEADER: 'header' })
    ]
    for (const endpoint of endpoints) {
      const proxy = await forwardProxy(t)
      const identity = await localService('tcp', response => response.end(JSON.stringify({
        access_token: 'token',
        expires_in: '3600',
        expires_on: String(Math.floor(Date.now() / 1000) + 3600),
        token_type: 'Bearer',
        resource: 'r'
      })))
      t.teardown(() => identity.close())
      t.equal(await printed(identifying, { ...env(proxy.url), ...endpoint(identity.url) }), 'token\n')
      t.ok(identity.requests.length > 0)
      t.same(proxy.asked, [])
    }
  })
}

const attesting = `
  import { googleConfidentialSpace } from '${new URL(
    '../../lib/platforms/google/confidential-space.ts', import.meta.url
  ).href}'
  const attester = googleConfidentialSpace({ audience: 'polaris', socketPath: process.argv[1] })
  console.log((await attester.evidence({ preimage: Buffer.alloc(1), binding: Buffer.alloc(32) })).tee)
`
for (const [name, env] of ways) {
  t.test(`${name}: the launcher is asked through its socket, and by no other way`, async t => {
    const proxy = await forwardProxy(t)
    const launcher = await localService('unix', (response, { body }) => {
      const { nonces: [nonce] } = JSON.parse(body) as { nonces: string[] }
      response.end(unsignedToken({ eat_nonce: nonce, exp: Math.floor(Date.now() / 1000) + 3600 }))
    })
    t.teardown(() => launcher.close())
    t.equal(await printed(attesting, env(proxy.url), launcher.socketPath), 'google-confidential-space\n')
    t.equal(launcher.requests.length, 1)
    t.same(proxy.asked, [])
  })
}
