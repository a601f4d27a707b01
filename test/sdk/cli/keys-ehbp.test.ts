/** polaris keys --format ehbp: the key that EHBP clients take, and only after its proof was accepted. */
import { join } from 'node:path'
import { Identity, Transport } from 'ehbp'
import t from 'tap'
import { simulated } from '../../../lib/platforms/local/simulated-evidence.ts'
import { fetchEhbpKey } from '../../fixtures/ehbp-client.ts'
import { attestingServer, polaris } from '../../fixtures/polaris-cli.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { startWorkload } from '../../fixtures/workload.ts'

t.setTimeout(300_000)
const attester = await simulated()
const policyOf = (root: string) => JSON.stringify(
  { version: 1, development: true, platforms: { simulated: { roots: [root] } } }
)
const folder = t.testdir({ 'own.json': policyOf(attester.root), 'other.json': policyOf('A'.repeat(43)) })
const keys = (url: string, policy: string, ...more: string[]) => polaris(
  ['keys', url, '--policy', join(folder, policy), '--format', 'ehbp', ...more]
)

for (const enableOhttp of [true, false]) {
  const beside = enableOhttp ? 'beside' : 'without'
  t.test(`the key that is printed is the one that the proxy opens with, ${beside} OHTTP`, async t => {
    const workload = await startWorkload(t)
    const { url } = await startProxy(t, { workloadBaseUrl: workload.url, enableEhbp: true, enableOhttp }, { attester })
    const { status, stdout } = await keys(url, 'own.json')
    t.equal(status, 0)
    t.equal(stdout, `${(await fetchEhbpKey(url)).toString('hex')}\n`)
    const transport = new Transport(await Identity.fromPublicKeyHex(stdout.trim()), new URL(url).host)
    t.equal((await transport.post(url, 'x')).status, 200)

    t.match(await keys(url, 'other.json'), { status: 1, stdout: '', stderr: /✗ root/ })
    t.match(await keys(url, 'own.json', '--json'), { status: 2, stdout: '', stderr: /--json|--format/ })
  })
}

t.test('evidence without such a key prints none, and neither do keys that cannot be read', async t => {
  const { url } = await startProxy(t, { workloadBaseUrl: 'http://127.0.0.1:9', enableOhttp: false }, { attester })
  t.match(
    await keys(url, 'own.json'),
    { status: 1, stdout: '', stderr: 'polaris: the evidence covers no X25519 key, which EHBP needs\n' }
  )
  const server = await attestingServer(t)
  const policy = t.testdir({ 'policy.json': policyOf(server.root) })
  t.match(
    await polaris(['keys', server.url, '--policy', join(policy, 'policy.json'), '--format', 'ehbp']),
    { stdout: '', stderr: /^polaris: / }
  )
})
