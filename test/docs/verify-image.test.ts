// docs/verify-image.md against the release workflow: the policy and the commands there accept what the workflow signs,
// and name the repository, the workflow, the tags and the type of predicate as they are.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { appraise, parseAttestationPolicy } from '../../sdk/attestation/index.ts'
import { GITHUB_ISSUER } from '../../sdk/attestation/provenance/policy.ts'
import { read } from '../fixtures/documents.ts'
import { issuerKey } from '../fixtures/issuer.ts'
import { root } from '../fixtures/script.ts'
import { createSigstore } from '../fixtures/sigstore.ts'

/** What actions/attest-build-provenance states. */
const SLSA = 'https://slsa.dev/provenance/v1'
const PATH = '.github/workflows/release.yml'

interface Step { uses?: string, with?: Record<string, string> }
const workflow = parse(read(PATH)) as {
  on: { push: { tags: string[] } }, jobs: Record<string, { permissions: Record<string, string>, steps?: Step[] }>
}
const document = read('docs/verify-image.md')
const repository = new URL(JSON.parse(read('package.json')).repository).pathname.slice(1)
const [json = ''] = [...document.matchAll(/^```json\n([\s\S]*?)^```/gm)].map(([, text = '']) => text)
const policy = parseAttestationPolicy(json)
const { provenance } = policy

t.test('the workflow attests the image of each platform, and the index, by their digests', async t => {
  const { permissions, steps = [] } = workflow.jobs['publish'] ?? { permissions: {} }
  t.match(permissions, { 'id-token': 'write', attestations: 'write' })
  const attested = steps.filter(
    ({ uses }) => uses?.startsWith('actions/attest-build-provenance@')
  ).map(step => step.with?.['subject-digest'])
  t.same(attested, ['digest', 'amd64', 'arm64'].map(name => `\${{ needs.build.outputs.${name} }}`))
})

t.test('the document names the repository, the workflow and the type of predicate as they are', async t => {
  t.match(provenance, { repository, workflow: PATH, predicateTypes: [SLSA] })
  t.ok(existsSync(join(root, PATH)))
  const commands = [...document.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(
    ([, text = '']) => text.replaceAll('\\\n', ' ')
  ).join('\n')
  const option = (name: string) => [
    ...commands.matchAll(new RegExp(`${name} "?([^\\s"]+)`, 'g'))
  ].map(([, value]) => value)
  t.same(new Set([...option('--repository'), ...option('--repo')]), new Set([repository]))
  t.same(new Set(option('--workflow')), new Set([PATH]))
  t.same(new Set(option('--certificate-oidc-issuer')), new Set([GITHUB_ISSUER]))
  t.match(option('--certificate-identity'), [`https://github.com/${repository}/${PATH}@refs/tags/$TAG`])
  t.match(commands, `repos/${repository}/attestations/$DIGEST`)
  t.ok(option('--predicate-type').includes(SLSA))
  t.match(document.replaceAll('\n', ' '), `--repository ${repository} --workflow ${PATH}`)
})

t.test('its policy accepts what a tag of a release makes, and nothing that another tag, branch or workflow ' +
  'makes', async t => {
  t.same(workflow.on.push.tags, ['v[0-9]+.[0-9]+.[0-9]+'])
  const digest = 'ab'.repeat(32)
  const now = new Date('2026-06-10T12:00:00Z')
  const seconds = now.getTime() / 1000
  const issuer = 'https://confidentialcomputing.googleapis.com'
  const key = await issuerKey('one')
  const token = await key.sign({
    iss: issuer,
    aud: 'polaris-secure-proxy',
    iat: seconds,
    exp: seconds + 600,
    eat_nonce: 'recorded',
    secboot: true,
    hwmodel: 'GCP_INTEL_TDX',
    swname: 'CONFIDENTIAL_SPACE',
    dbgstat: 'disabled-since-boot',
    submods: { confidential_space: { support_attributes: ['STABLE'] }, container: { image_digest: `sha256:${digest}` } }
  })
  const { trustedRoot, bundle } = createSigstore()
  const verified = async (by: object) => (await appraise(
    { tee: 'google-confidential-space', evidence: [['application/eat+jwt', token]] }, policy,
    {
      now,
      keySets: { [issuer]: { keys: [key.jwk] } },
      provenance: { trustedRoot, bundles: [bundle(digest, { repository, at: now, ...by })] }
    }
  )).verified
  t.ok(await verified({ ref: 'refs/tags/v1.2.3' }))
  t.notOk(await verified({ ref: 'refs/heads/main' }))
  t.notOk(await verified({ ref: 'refs/tags/nightly' }))
  t.notOk(await verified({ ref: 'refs/tags/v1.2.3', workflow: `${repository}/.github/workflows/check.yml` }))
  t.notOk(await verified({ ref: 'refs/tags/v1.2.3', repository: 'someone/polaris-secure-proxy' }))
  t.notOk(await verified({ ref: 'refs/tags/v1.2.3', predicateType: 'https://cyclonedx.org/bom' }))
})
