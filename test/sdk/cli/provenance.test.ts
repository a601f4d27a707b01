// --provenance and --trusted-root of the polaris command, and policies that polaris policy init writes for a
// repository.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseAttestationPolicy } from '../../../sdk/attestation/index.ts'
import { issuerKey } from '../../fixtures/issuer.ts'
import { localService } from '../../fixtures/local-service.ts'
import { attestingServer, polaris } from '../../fixtures/polaris-cli.ts'
import { createSigstore } from '../../fixtures/sigstore.ts'

t.setTimeout(240_000)
const folder = t.testdir({})
let count = 0
function file (content: unknown): string {
  const path = join(folder, `file-${count++}`)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

const DIGEST = 'ab'.repeat(32)
const at = new Date('2026-06-10T12:00:00Z')
const seconds = at.getTime() / 1000
const issuer = await issuerKey('one')
const sigstore = createSigstore()
const bundle = sigstore.bundle(DIGEST, { at })
const other = sigstore.bundle('cd'.repeat(32), { at })
const token = file(await issuer.sign({
  iss: 'https://confidentialcomputing.googleapis.com',
  aud: 'polaris-secure-proxy',
  iat: seconds,
  exp: seconds + 600,
  eat_nonce: 'recorded-nonce',
  secboot: true,
  hwmodel: 'GCP_AMD_SEV',
  swname: 'CONFIDENTIAL_SPACE',
  dbgstat: 'disabled-since-boot',
  submods: { confidential_space: { support_attributes: ['STABLE'] }, container: { image_digest: `sha256:${DIGEST}` } }
}))
const policy = (repository = 'owner/name', more: object = {}) =>
  file({
    version: 1,
    provenance: { repository, ...more },
    platforms: { 'google-confidential-space': { audience: 'polaris-secure-proxy' } }
  })
const ROOT = ['--trusted-root', file(sigstore.trustedRoot)]
const appraise = (...args: string[]) =>
  polaris(
    ['appraise', 'token', '--token', token, '--keys', file({ keys: [issuer.jwk] }), '--at', at.toISOString(), ...args]
  )

const github = await localService('tcp', (response, { url }) => {
  if (url === '/attestations') response.end(JSON.stringify({ attestations: [{ bundle: other }, { bundle }] }))
  else response.writeHead(404).end()
})
t.teardown(() => github.close())

t.test('what was built by the repository passes, wherever the bundle comes from', async t => {
  const passed = {
    status: 0, stdout: /✓ provenance-subject[^]*software built from owner\/name at v1\.0\.0, running, as Google attests/
  }
  t.match(await appraise('--policy', policy(), '--provenance', file(bundle), ...ROOT), passed)
  t.match(await appraise(
    '--policy', policy(), '--provenance', file(`${JSON.stringify(other)}\n${JSON.stringify(bundle)}\n`), ...ROOT
  ), passed)
  t.match(await appraise('--policy', policy(), '--provenance', `${github.url}/attestations`, ...ROOT), passed)
  t.match(
    await appraise('--policy', policy('owner/name', { bundles: [bundle], trustedRoot: sigstore.trustedRoot })), passed
  )
})

t.test('what was not is refused', async t => {
  t.match(
    await appraise('--policy', policy('owner/other'), '--provenance', file(bundle), ...ROOT),
    { status: 1, stdout: /✗ provenance-repository/ }
  )
  t.match(
    await appraise('--policy', policy(), '--provenance', file(other), ...ROOT),
    { status: 1, stdout: /✗ provenance-subject/ }
  )
  t.match(
    await appraise('--policy', policy(), '--provenance', file(bundle)),
    { status: 1, stdout: /✗ provenance-signature +Sigstore refuses it/ }
  )
  t.match(
    await appraise('--policy', policy()), { status: 1, stdout: /✗ provenance-bundle +There is no Sigstore bundle/ }
  )
})

t.test('mistakes are named', async t => {
  const mistakes: Array<[args: string[], stderr: RegExp]> = [
    [['--provenance', file(bundle)], /--provenance needs a policy that says which repository/],
    [['--trusted-root', file({})], /--trusted-root needs a policy/],
    [['--policy', policy(), '--provenance', join(folder, 'missing')], /cannot read .*missing: ENOENT/],
    [['--policy', policy(), '--provenance', file('text')], /holds no Sigstore bundles/],
    [['--policy', policy(), '--provenance', `${github.url}/missing`], /\/missing answered 404/],
    [['--policy', policy(), '--trusted-root', file('text')], /is not JSON/],
    [['--policy', policy('owner')], /provenance\.repository must match/]
  ]
  for (const [args, stderr] of mistakes) t.match(await appraise(...args), { status: 2, stdout: '', stderr })
})

t.test('appraise sigstore takes what to accept from options or from a policy', async t => {
  const words = [
    'appraise', 'sigstore', '--bundle', file(bundle), '--digest', `sha256:${DIGEST}`, '--at', at.toISOString(), ...ROOT
  ]
  t.match(
    await polaris([...words, '--repository', 'owner/name', '--ref-prefix', 'refs/tags/v']),
    { status: 0, stdout: /verified: sigstore/ }
  )
  t.match(await polaris([...words, '--policy', policy()]), { status: 0 })
  t.match(
    await polaris([...words, '--policy', policy('owner/name', { ref: 'refs/tags/v2.*' })]),
    { status: 1, stdout: /✗ provenance-ref/ }
  )
  t.match(
    await polaris([...words, '--policy', policy(), '--repository', 'owner/other']),
    { status: 1, stdout: /✗ provenance-repository/ }
  )
  t.match(await polaris(words), { status: 2, stderr: /give --repository owner\/name, or a --policy with provenance/ })
  t.match(
    await polaris([...words, '--policy', file({ version: 1, insecure: true, platforms: { tdx: {} } })]),
    { status: 2, stderr: /has no provenance/ }
  )
})

t.test('every command that appraises takes them', async t => {
  for (const command of ['verify', 'keys', 'fetch', 'proxy']) {
    const { stdout } = await polaris([command, '--help'])
    t.match(stdout, /--provenance <file\|url>/, command)
    t.match(await polaris([command, 'http://127.0.0.1:9', '--policy', file({
      version: 1, platforms: { 'sev-snp': { measurements: ['aa'.repeat(48)] } }
    }), '--provenance', file(bundle)]), {
      status: 2, stderr: /--provenance needs a policy that says which repository/
    }, command)
  }
})

t.test('policy init writes a policy for a repository, of Confidential Space or of what is deployed', async t => {
  const written = await polaris([
    'policy', 'init', '--repository', 'owner/name', '--workflow', '.github/workflows/release.yml', '--ref',
    'refs/tags/v1.*'
  ])
  t.equal(written.status, 0, written.stderr)
  t.same(parseAttestationPolicy(written.stdout), {
    version: 1,
    provenance: { repository: 'owner/name', workflow: '.github/workflows/release.yml', ref: 'refs/tags/v1.*' },
    platforms: { 'google-confidential-space': { audience: 'polaris-secure-proxy' } }
  })
  t.match(await appraise('--policy', file(written.stdout), '--provenance', file(bundle), ...ROOT), { status: 0 })

  const server = await attestingServer(t)
  const deployed = await polaris(['policy', 'init', server.url, '--development', '--repository', 'owner/name'])
  t.match(deployed, { status: 0, stderr: /the proxy sends no Sigstore bundle/ })
  t.match(
    JSON.parse(deployed.stdout),
    { provenance: { repository: 'owner/name' }, platforms: { simulated: { roots: [server.root] } } }
  )
  const refused = await polaris(
    ['policy', 'init', server.url, '--development', '--repository', 'owner/name', '--provenance', file(bundle)]
  )
  t.match(refused, { status: 1, stdout: '', stderr: /✗ provenance-subject +.*the evidence does not say what runs/ })

  t.match(await polaris(['policy', 'init']), { status: 2, stderr: /give the base URL of the proxy, or --repository/ })
  t.match(
    await polaris(['policy', 'init', server.url, '--workflow', 'x.yml']),
    { status: 2, stderr: /need --repository owner\/name/ }
  )
  t.match(
    await polaris(['policy', 'init', '--repository', 'name']),
    { status: 2, stderr: /provenance\.repository must match/ }
  )
})
