// The settings that take a protection back are part of what the proxy attests: a client sees "plaintext accepted"
// before it sends anything, and a policy can demand the strict mode.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { ConfigInput } from '../../lib/config/config.ts'
import { simulated } from '../../lib/platforms/local/simulated-evidence.ts'
import { attestKeys, AttestationError } from '../../sdk/attestation/index.ts'
import type { AttestationPolicy } from '../../sdk/attestation/index.ts'
import { createPolarisFetch } from '../../sdk/index.ts'
import { read } from '../fixtures/documents.ts'
import { startProxy } from '../fixtures/proxy.ts'
import { startWorkload } from '../fixtures/workload.ts'

const workloadBaseUrl = 'http://127.0.0.1:9'
const attester = await simulated()
const open: AttestationPolicy = { version: 1, development: true, platforms: { simulated: { roots: [attester.root] } } }
const strict: AttestationPolicy = { ...open, acceptedWeakenings: [] }
const encrypted: ConfigInput = { workloadBaseUrl, enableInputEncryption: true, enableOutputEncryption: true }

t.test('what is attested names each weakened protection, by a code that the documentation explains', async t => {
  const explained = read('docs/attestation-policy.md')
  const cases: ReadonlyArray<readonly [ConfigInput, readonly string[]]> = [
    [encrypted, []],
    [{ workloadBaseUrl }, ['plaintext-accepted']],
    [{ workloadBaseUrl, enableOutputEncryption: true }, ['plaintext-accepted', 'responses-to-any-key']],
    [{ ...encrypted, v1ReplayProtection: false }, ['v1-replay']],
    [{ ...encrypted, v1AllowUnboundResponseKey: true }, ['v1-unbound-response-key']],
    [{ ...encrypted, usage: 'on' }, ['usage-reported']],
    [{ ...encrypted, usage: 'false' }, []],
    [
      { ...encrypted, workloadBaseUrl: 'https://workload.example', workloadTlsVerify: false }, ['workload-not-verified']
    ],
    [{ ...encrypted, workloadBaseUrl: 'https://workload.example' }, []],
    [{ ...encrypted, workloadBaseUrl: 'http://10.0.0.7:8080' }, ['workload-over-network']],
    [{ ...encrypted, workloadBaseUrl: 'http://localhost.example' }, ['workload-over-network']],
    [{ ...encrypted, workloadBaseUrl: 'h2c://10.0.0.7:50051' }, ['workload-over-network']],
    [{ ...encrypted, workloadBaseUrl: 'h2c://LOCALHOST:50051' }, []],
    [{ ...encrypted, workloadBaseUrl: 'http://[::1]:8080' }, []],
    [{ ...encrypted, workloadBaseUrl: 'http://localhost:8080' }, []]
  ]
  for (const [config, codes] of cases) {
    const proxy = await startProxy(t, config, { attester })
    const { verdict } = await attestKeys({ baseURL: proxy.url, policy: open })
    t.equal(verdict.verified, true)
    t.same(verdict.weakenings, codes, JSON.stringify(config))
    for (const code of codes) t.ok(explained.includes(`| \`${code}\``), code)
    t.equal((await attestKeys({ baseURL: proxy.url, policy: strict })).verdict.verified, codes.length === 0)
    t.equal(
      (await attestKeys({ baseURL: proxy.url, policy: { ...open, acceptedWeakenings: codes } })).verdict.verified, true
    )
    await proxy.close()
  }
})

t.test('a client of the strict mode sends nothing to a proxy that accepts plaintext', async t => {
  const workload = await startWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url }, { attester })
  const fetch = createPolarisFetch({ baseURL: proxy.url, attestation: strict })
  const failure = await fetch('/', { method: 'POST', body: 'secret' }).then(() => undefined, (error: unknown) => error)
  const reasons = [failure, (failure as Error).cause].filter(error => error instanceof AttestationError)
  t.match(String(reasons[0]), /weakenings.*plaintext-accepted/)
  t.equal(workload.received.length, 0)
})

t.test('a proxy whose own policy demands the strict mode keeps its gate closed', async t => {
  const file = join(t.testdir({}), 'policy.json')
  await writeFile(file, JSON.stringify(strict))
  const proxy = await startProxy(t, { workloadBaseUrl, attestationPolicyFile: file }, { attester })
  let reasons = ''
  while (!reasons.includes('refuses')) reasons = await (await fetch(`${proxy.url}/polaris-container/readyz`)).text()
  t.match(reasons, /refuses its evidence: weakenings/)
  t.equal((await fetch(proxy.url)).status, 503)
})
