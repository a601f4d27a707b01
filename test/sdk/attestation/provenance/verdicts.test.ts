// Policies that demand provenance, in place of digests, host data and measurements: on each platform, from each source
// of bundles, for each single thing that is wrong, with a Sigstore of our own that signs all of it.
import t from 'tap'
import { TRUSTED_ROOT_DATE, verdictSentence } from '../../../../sdk/attestation/index.ts'
import { createSigstore } from '../../../fixtures/sigstore.ts'
import { failed } from '../../../fixtures/verdict.ts'
import {
  DIGEST, HOST_DATA, MULTIPLATFORM, bundle, hex, measured, now, platforms, predicate, repository, trustedRoot,
  verdictOn
} from '../../../fixtures/provenance.ts'
import type { Pieces, Scene } from '../../../fixtures/provenance.ts'

const accepted: Array<[name: string, pieces: Pieces, scene: Scene]> = [
  ['an image of Confidential Space', platforms.google, { endorsed: [bundle()] }],
  ['a bundle beside the policy', platforms.google, { sources: { bundles: [bundle()] } }],
  [
    'a bundle in the policy, and its trusted root', platforms.google,
    { sources: { trustedRoot: undefined }, provenance: { ...repository, trustedRoot, bundles: [bundle()] } }
  ],
  ['the right one of several', platforms.google, {
    endorsed: [bundle('ff'.repeat(32)), bundle(DIGEST, { repository: 'owner/other' })],
    sources: { bundles: [{}, bundle()] }
  }],
  ['a policy of Azure\'s that the repository made', platforms.azure, { endorsed: [bundle(HOST_DATA)] }],
  ['a measured launch of SEV-SNP', platforms.snp, { endorsed: [measured] }],
  [
    'host data beside the cloud\'s measurement', platforms.azureSnp,
    { endorsed: [bundle(HOST_DATA)], sections: { 'sev-snp': { measurements: [hex(0xaa)] } } }
  ],
  [
    'a measured launch, whatever the host data', platforms.azureSnp,
    { endorsed: [measured], sections: { 'sev-snp': { anyHostData: true } } }
  ],
  ['a measured launch of TDX', platforms.tdx, { endorsed: [measured] }],
  ['all that may be asked', platforms.google, {
    endorsed: [bundle()],
    provenance: {
      ...repository,
      workflow: '.github/workflows/release.yml',
      ref: 'refs/tags/v1.*',
      notBefore: '2026-01-01T00:00:00Z',
      issuer: 'https://token.actions.githubusercontent.com',
      predicateTypes: ['https://slsa.dev/provenance/v1']
    }
  }]
]
for (const [name, pieces, scene] of accepted) {
  t.test(`accepted: ${name}`, async t => {
    const verdict = await verdictOn(pieces, scene)
    t.same(failed(verdict), [])
    t.ok(verdict.verified)
    t.match(verdictSentence(verdict, now), /can be read only by software built from owner\/name at v1\.0\.0, running/)
  })
}

const refused: Array<[name: string, check: string | string[], pieces: Pieces, scene: Scene]> = [
  ['no bundle', 'provenance-bundle', platforms.google, {}],
  ['what is no bundle', 'provenance-bundle', platforms.google, { endorsed: [{}] }],
  [
    'a bundle of another Sigstore', 'provenance-signature', platforms.google,
    { endorsed: [createSigstore().bundle(DIGEST, { at: now })] }
  ],
  [
    'the shipped root, which does not know this one', 'provenance-signature', platforms.google,
    { endorsed: [bundle()], sources: { trustedRoot: undefined } }
  ],
  ['another image', 'provenance-subject', platforms.google, { endorsed: [bundle('cd'.repeat(32))] }],
  [
    'another repository', ['provenance-repository', 'provenance-workflow'], platforms.google,
    { endorsed: [bundle(DIGEST, { repository: 'owner/names' })] }
  ],
  [
    'a workflow elsewhere', 'provenance-workflow', platforms.google,
    { endorsed: [bundle(DIGEST, { workflow: 'other/repo/.github/workflows/x.yml' })] }
  ],
  [
    'another workflow', 'provenance-workflow', platforms.google,
    { endorsed: [bundle()], provenance: { ...repository, workflow: '.github/workflows/other.yml' } }
  ],
  ['a branch', 'provenance-ref', platforms.google, { endorsed: [bundle(DIGEST, { ref: 'refs/heads/main' })] }],
  [
    'another tag', 'provenance-ref', platforms.google,
    { endorsed: [bundle()], provenance: { ...repository, ref: 'refs/tags/v2.*' } }
  ],
  [
    'another issuer', 'provenance-issuer', platforms.google,
    { endorsed: [bundle(DIGEST, { issuer: 'https://evil.example' })] }
  ],
  [
    'an old build', 'provenance-time', platforms.google,
    { endorsed: [bundle()], provenance: { ...repository, notBefore: '2027-01-01T00:00:00Z' } }
  ],
  [
    'another predicate', 'provenance-predicate', platforms.google,
    { endorsed: [bundle()], provenance: { ...repository, predicateTypes: ['https://example.com/other'] } }
  ],
  ['another policy of Azure\'s', 'provenance-subject', platforms.azure, { endorsed: [bundle()] }],
  ['a launch that no predicate measures', 'provenance-launch', platforms.snp, { endorsed: [bundle()] }],
  ['another launch', 'provenance-launch', platforms.snp, {
    endorsed: [bundle(DIGEST, { predicateType: MULTIPLATFORM, predicate: { ...predicate, snp_measurement: hex(1) } })]
  }],
  ['host data beside any measurement', 'provenance-launch', platforms.azureSnp, { endorsed: [bundle(HOST_DATA)] }],
  ['host data that the measurement does not cover', 'provenance-launch', platforms.azureSnp, { endorsed: [measured] }],
  [
    'other host data', 'provenance-subject', platforms.azureSnp,
    { endorsed: [bundle()], sections: { 'sev-snp': { measurements: [hex(0xaa)] } } }
  ],
  ['TDX without firmware', 'provenance-launch', platforms.tdx, { endorsed: [measured], sections: { tdx: {} } }],
  [
    'TDX with firmware in one alternative only', 'provenance-launch', platforms.tdx,
    { endorsed: [measured], sections: { tdx: { measurements: [{ mrtd: hex(0xa0) }, { rtmr0: hex(0xb0) }] } } }
  ],
  ['TDX with another kernel', 'provenance-launch', platforms.tdx, {
    endorsed: [bundle(DIGEST, {
      predicateType: MULTIPLATFORM, predicate: { ...predicate, tdx_measurement: { rtmr1: hex(1), rtmr2: hex(0xb2) } }
    })]
  }],
  ['TDX without measurements', 'provenance-launch', platforms.tdx, { endorsed: [bundle()] }]
]
for (const [name, checks, pieces, scene] of refused) {
  t.test(`refused: ${name}`, async t => {
    const verdict = await verdictOn(pieces, scene)
    t.notOk(verdict.verified)
    t.same(failed(verdict), [checks].flat())
    t.notMatch(verdictSentence(verdict, now), /owner/)
  })
}

t.test('each part of a bundle counts: whatever is changed in it, it is refused', async t => {
  const text = JSON.stringify(bundle())
  const values = [
    ...text.matchAll(/"(?:rawBytes|payload|sig|canonicalizedBody|signedEntryTimestamp|rootHash|keyId)":"([^"]{20,})"/g)
  ]
  t.ok(values.length >= 7)
  for (const { 0: whole, 1: value = '', index } of values) {
    const at = index + whole.indexOf(value) + 10
    const changed = text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1)
    t.notOk((await verdictOn(platforms.google, { endorsed: [JSON.parse(changed)] })).verified, whole.slice(0, 24))
  }
})

t.test('the verdict tells the age of the trusted root, or that it was given', async t => {
  const detail = async (scene: Scene) => (await verdictOn(
    platforms.google, { endorsed: [bundle()], ...scene }
  )).checks.find(({ name }) => name === 'provenance-signature')?.detail
  t.match(await detail({}), /trusted root that was given/)
  const later = new Date(Date.parse(TRUSTED_ROOT_DATE) + 40 * 86_400_000)
  const { appraiseProvenance } = await import('../../../../sdk/attestation/provenance/index.ts')
  const { checks } = await appraiseProvenance(
    bundle(), { policy: repository, running: { digest: DIGEST }, now: later, verifier: { verify () {} } }
  )
  t.match(
    checks.find(({ name }) => name === 'provenance-signature')?.detail,
    `trusted root of ${TRUSTED_ROOT_DATE}, 40 days old`
  )
})
