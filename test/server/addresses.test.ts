/** Where the process listens, and how it names the address of a client to the workload. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { run, START } from '../fixtures/process.ts'
import { startWorkload } from '../fixtures/workload.ts'

const probe = createServer().listen(0, '::1')
const noIPv6 = await once(probe, 'listening').then(() => false, () => 'this machine has no IPv6')
probe.close()

async function start (t: Test, host: string, workload = 'http://127.0.0.1:9') {
  const server = run(t, START, {
    HOST: host,
    PORT: '0',
    POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload,
    POLARIS_CONTAINER_TRUST_PROXY: '127.0.0.1, ::1'
  })
  const [, port = ''] = /:(\d+)"/.exec(await server.line(/Server listening at/)) ?? []
  return {
    port,
    answers: (address: string) => fetch(`http://${address}:${port}/polaris-container/livez`).then(
      ({ ok }) => ok, () => false
    )
  }
}

t.test('without HOST, it answers to IPv6 and to IPv4', { skip: noIPv6 }, async t => {
  const { answers } = await start(t, '')
  t.ok(await answers('127.0.0.1'))
  t.ok(await answers('[::1]'))
})

t.test('HOST=[::1] is ::1, and nothing else', { skip: noIPv6 }, async t => {
  const { answers } = await start(t, '[::1]')
  t.ok(await answers('[::1]'))
  t.notOk(await answers('127.0.0.1'))
})

t.test('an IPv4 client of a socket for both is named as IPv4', { skip: noIPv6 }, async t => {
  const workload = await startWorkload(t)
  const { port } = await start(t, '', workload.url)
  for (const [address, expected] of [['127.0.0.1', '127.0.0.1'], ['[::1]', '::1']] as const) {
    const response = await fetch(`http://${address}:${port}/x`, { headers: { 'x-forwarded-for': '192.0.2.9' } })
    const { headers } = await response.json() as { headers: Record<string, string> }
    t.equal(headers['x-forwarded-for'], `192.0.2.9, ${expected}`)
  }
})

t.test('an address that is none of this machine ends the process with its name', async t => {
  for (const [host, reason] of [
    ['192.0.2.1', /EADDRNOTAVAIL/], ['no-such-host.invalid', /cannot be resolved/]
  ] as const) {
    const server = run(t, START, { HOST: host, PORT: '0', POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://127.0.0.1:9' })
    t.equal(await server.exit, 1)
    t.match(server.stderr(), /^The configuration cannot be used:\n {2}- HOST: /m)
    t.match(server.stderr(), reason)
    t.notMatch(server.lines.join(''), /unexpected/)
  }
})

t.test('what a machine lacks, and a policy that is none, end the process with the name of the setting', async t => {
  const folder = t.testdir({
    'no.json': 'no',
    'utf16.json': Buffer.from('\ufeff{"', 'utf16le'),
    'provenance.json': JSON.stringify({
      version: 1,
      platforms: { 'google-confidential-space': { audience: 'polaris' } },
      provenance: { repository: 'owner/name', workflow: '.github/workflows/release.yml', refPrefix: 'refs/tags/v' }
    })
  })
  const cases: ReadonlyArray<readonly [Record<string, string>, RegExp]> = [
    [
      { POLARIS_CONTAINER_ATTESTATION_REQUIRED: 'true', POLARIS_CONTAINER_ATTESTATION_TYPE: 'none' },
      /ATTESTATION_REQUIRED is set, but this machine cannot attest/
    ],
    [{ POLARIS_CONTAINER_ATTESTATION_TYPE: 'simulated', NODE_ENV: 'production' }, /ATTESTATION_ALLOW_SIMULATED=true/],
    [
      { POLARIS_CONTAINER_ATTESTATION_POLICY_FILE: `${folder}/none` },
      /ATTESTATION_POLICY_FILE: .*cannot be read \(ENOENT\)/
    ],
    [{ POLARIS_CONTAINER_ATTESTATION_POLICY_FILE: `${folder}/no.json` }, /ATTESTATION_POLICY_FILE: /],
    [{ POLARIS_CONTAINER_ATTESTATION_POLICY_FILE: `${folder}/utf16.json` }, /ATTESTATION_POLICY_FILE: /],
    [
      { POLARIS_CONTAINER_ATTESTATION_POLICY_FILE: `${folder}/provenance.json` },
      /ATTESTATION_POLICY_FILE: .* it has provenance, which clients verify and the proxy cannot: pin digests/
    ],
    [{ POLARIS_CONTAINER_KEY_TYPE: 'file', POLARIS_CONTAINER_KEY_FILE: folder }, /KEY_FILE: /]
  ]
  for (const [env, reason] of cases) {
    const server = run(t, START, { PORT: '0', POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://127.0.0.1:9', ...env })
    t.equal(await server.exit, 1, JSON.stringify(env))
    t.match(server.stderr(), /^The configuration cannot be used:/)
    t.match(server.stderr(), reason)
    t.notMatch(server.lines.join(''), /unexpected/)
  }
})
