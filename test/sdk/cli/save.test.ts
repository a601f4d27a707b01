// polaris verify --save and --from: everything that was seen is kept, and gives the same checks and the same exit
// status years later and without a network; what has changed since is refused.
import { appendFile, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { MEDIA_TYPES, attestationDocument, bindingDigest } from '../../../lib/protocols/attestation.ts'
import { encodeBase64url } from '../../../lib/protocols/base64url.ts'
import { appraiseAnswer } from '../../../sdk/cli/appraise.ts'
import type { AppraiseOptions } from '../../../sdk/cli/appraise.ts'
import { createRecorder } from '../../../sdk/cli/saved/recorder.ts'
import { replay, save } from '../../../sdk/cli/saved/saved.ts'
import { parseAttestationPolicy } from '../../../sdk/attestation/index.ts'
import { issuerKey } from '../../fixtures/issuer.ts'
import { attestingServer, polaris } from '../../fixtures/polaris-cli.ts'
import { createSigstore } from '../../fixtures/sigstore.ts'

t.setTimeout(240_000)
const folder = t.testdir({
  // A clock that is five years ahead.
  'later.mjs': `const Now = Date
    const ahead = 5 * 365 * 86400000
    globalThis.Date = class extends Now {
      constructor (...args) { args.length === 0 ? super(Now.now() + ahead) : super(...args) }
      static now () { return Now.now() + ahead }
    }`
})
const path = (name: string) => join(folder, name)
const LATER = { NODE_OPTIONS: `--import=${path('later.mjs')}` }

const ISSUER = 'https://confidentialcomputing.googleapis.com'
const JWKS = 'https://issuer.example/jwks'
const DIGEST = 'ab'.repeat(32)
const key = await issuerKey('one')
const sigstore = createSigstore()
const keys = [{ kind: 'ohttp-keys' as const, value: Uint8Array.of(1, 2, 3) }]

/** A proxy in Confidential Space, and Google. */
const network: typeof fetch = async input => {
  const url = new URL(input instanceof Request ? input.url : input)
  if (url.href === `${ISSUER}/.well-known/openid-configuration`) return Response.json({ jwks_uri: JWKS })
  if (url.href === JWKS) return Response.json({ keys: [key.jwk] })
  const nonce = Buffer.from(url.searchParams.get('nonce') ?? '', 'base64url')
  const seconds = Date.now() / 1000
  const token = await key.sign({
    iss: ISSUER,
    aud: 'polaris',
    iat: seconds,
    nbf: seconds,
    exp: seconds + 600,
    eat_nonce: encodeBase64url(await bindingDigest(nonce, keys)),
    secboot: true,
    hwmodel: 'GCP_INTEL_TDX',
    swname: 'CONFIDENTIAL_SPACE',
    dbgstat: 'disabled-since-boot',
    submods: { confidential_space: { support_attributes: ['STABLE'] }, container: { image_digest: `sha256:${DIGEST}` } }
  })
  return Response.json(await attestationDocument({
    tee: 'google-confidential-space',
    nonce,
    cached: false,
    keys,
    evidence: [[MEDIA_TYPES.eatJwt, token]],
    endorsements: [],
    issuedAt: new Date()
  }))
}

await writeFile(path('policy.json'), JSON.stringify({
  version: 1,
  provenance: { repository: 'owner/name' },
  platforms: { 'google-confidential-space': { audience: 'polaris' } }
}))
await writeFile(path('bundle.json'), JSON.stringify(sigstore.bundle(DIGEST)))
await writeFile(path('root.json'), JSON.stringify(sigstore.trustedRoot))

const given = { policy: path('policy.json'), provenance: path('bundle.json'), trustedRoot: path('root.json') }

async function saved (name: string, options: AppraiseOptions = given) {
  const recorder = createRecorder(network)
  const appraisal = await appraiseAnswer('https://proxy.example', options, { fetch: network }, recorder.fetch)
  await save(path(name), 'https://proxy.example', appraisal, recorder)
  return appraisal.verdict
}

t.test('key sets, bundles and trusted root are kept, and the checks are the same', async t => {
  const verdict = await saved('google')
  t.ok(verdict.verified)
  t.same((await readdir(path('google'))).sort(), [
    'answer-1', 'answer-2', 'bundles.json', 'document.json', 'policy.json', 'saved.json', 'shipped-trusted-root.json',
    'trusted-root.json', 'verdict.json'
  ])
  const again = await replay(path('google'))
  t.same(again.checks, verdict.checks)
  t.same(again.at, verdict.at)
  const { status, stdout, stderr } = await polaris(['verify', '--from', path('google'), '--json'], LATER)
  t.equal(status, 0, stderr)
  t.same(JSON.parse(stdout).checks, verdict.checks)
  t.match(
    JSON.parse(stdout).sentence,
    /built from owner\/name at v1\.0\.0, running, as Google attests, in a genuine Intel TDX virtual machine; checked at \d{4}-/
  )
})

t.test('a trusted root of the policy itself counts, whatever root was shipped then', async t => {
  const policy = JSON.parse(await readFile(path('policy.json'), 'utf8'))
  policy.provenance.trustedRoot = sigstore.trustedRoot
  await writeFile(path('rooted.json'), JSON.stringify(policy))
  const { verified } = await saved('rooted', { policy: path('rooted.json'), provenance: path('bundle.json') })
  t.ok(verified)
  const file = join(path('rooted'), 'saved.json')
  const index = JSON.parse(await readFile(file, 'utf8'))
  await writeFile(file, JSON.stringify({ ...index, trustedRootDate: '2020-01-01' }))
  t.ok((await replay(path('rooted'))).verified)
})

t.test('another policy is appraised by what was seen, and asks nobody', async t => {
  const other = (more: object) => parseAttestationPolicy(
    { version: 1, platforms: { 'google-confidential-space': { audience: 'polaris', ...more } } }
  )
  t.equal((await replay(path('google'), other({ imageDigests: [`sha256:${DIGEST}`] }))).verified, true)
  t.equal((await replay(path('google'), other({ imageDigests: [`sha256:${'cd'.repeat(32)}`] }))).verified, false)
})

t.test('each file that has changed or is gone is refused', async t => {
  await saved('changed')
  for (const name of (await readdir(path('changed'))).filter(file => file !== 'saved.json')) {
    const content = await readFile(join(path('changed'), name))
    await appendFile(join(path('changed'), name), ' ')
    await t.rejects(replay(path('changed')), { name: 'ChangedFileError', code: 'ERR_SAVED_FILE_CHANGED' }, name)
    await rm(join(path('changed'), name))
    await t.rejects(replay(path('changed')), { name: 'ChangedFileError' }, name)
    await writeFile(join(path('changed'), name), content)
  }
  t.ok((await replay(path('changed'))).verified)
})

t.test('evidence that was exchanged together with its hash is refused by its checks', async t => {
  const [index, other] = await Promise.all(
    ['changed', 'google'].map(async name => JSON.parse(await readFile(join(path(name), 'saved.json'), 'utf8')))
  )
  const document = await readFile(join(path('google'), 'document.json'))
  await writeFile(join(path('changed'), 'document.json'), document)
  index.files['document.json'] = other.files['document.json']
  await writeFile(join(path('changed'), 'saved.json'), JSON.stringify(index))
  const { verified, checks } = await replay(path('changed'))
  t.notOk(verified)
  t.same(checks.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name), ['nonce'])
})

t.test('the command saves, and repeats years later what was verified and what was refused', async t => {
  const server = await attestingServer(t)
  const policy = (root: string) => JSON.stringify(
    { version: 1, development: true, platforms: { simulated: { roots: [root] } } }
  )
  await writeFile(path('own.json'), policy(server.root))
  await writeFile(path('other.json'), policy('A'.repeat(43)))
  for (const [name, status] of [['own', 0], ['other', 1]] as const) {
    const first = await polaris(['verify', server.url, '--policy', path(`${name}.json`), '--save', path(name)])
    const again = await polaris(['verify', '--from', path(name)], LATER)
    const checks = ({ stdout }: { stdout: string }) => stdout.split('\n').filter(line => /^[✓✗–]/.test(line))
    t.same([first.status, again.status], [status, status], first.stderr + again.stderr)
    t.same(checks(again), checks(first))
    t.ok(checks(first).length > 5)
  }
  await appendFile(join(path('own'), 'document.json'), ' ')
  t.match(
    await polaris(['verify', '--from', path('own')]),
    { status: 1, stdout: '', stderr: /document\.json is not what was saved/ }
  )

  const mistakes: Array<[args: string[], stderr: RegExp]> = [
    [[], /give the base URL of the proxy, or --from/],
    [[server.url, '--from', path('other')], /--from repeats what was saved/],
    [['--from', path('missing')], /cannot read .*saved\.json: ENOENT/],
    [['--from', folder], /cannot read .*saved\.json: ENOENT/],
    [[server.url, '--development', '--save', path('own')], /there is such a folder: name a new one/]
  ]
  for (const [args, stderr] of mistakes) t.match(await polaris(['verify', ...args]), { status: 2, stdout: '', stderr })
  await writeFile(join(path('other'), 'saved.json'), '{"format":"polaris-verification-v1","files":{"../x":"00"}}')
  t.match(await polaris(['verify', '--from', path('other')]), { status: 2, stderr: /saved\.json is malformed/ })
})
