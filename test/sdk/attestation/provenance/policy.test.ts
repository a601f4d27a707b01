// Policies that demand provenance, in place of digests, host data and measurements: on each platform, from each source
// of bundles, for each single thing that is wrong, with a Sigstore of our own that signs all of it.
import t from 'tap'
import { MEDIA_TYPES, attestationDocument, bindingDigest, reportData } from '../../../../lib/protocols/attestation.ts'
import type { TypedValue } from '../../../../lib/protocols/attestation.ts'
import { encodeBase64url } from '../../../../lib/protocols/base64url.ts'
import {
  AttestationPolicyError, TRUSTED_ROOT_DATE, appraise, parseAttestationPolicy, readBundles, verdictSentence,
  verifyAttestation
} from '../../../../sdk/attestation/index.ts'
import type {
  AttestationPolicy, ProvenancePolicy, ProvenanceSources, Verdict
} from '../../../../sdk/attestation/index.ts'
import { NOW, makeIntel } from '../../../fixtures/intel/authority.ts'
import { collateral } from '../../../fixtures/intel/collateral.ts'
import { quote } from '../../../fixtures/intel/quote.ts'
import { issuerKey } from '../../../fixtures/issuer.ts'
import { createSigstore } from '../../../fixtures/sigstore.ts'
import { leafCertificate, snpChain, snpReport } from '../../../fixtures/snp.ts'
import { failed, outcomeOf } from '../../../fixtures/verdict.ts'

const sigstore = createSigstore()
const { trustedRoot } = sigstore
const now = NOW
const DIGEST = 'ab'.repeat(32)
const HOST_DATA = 'bb'.repeat(32)
const hex = (byte: number) => byte.toString(16).padStart(2, '0').repeat(48)
const MULTIPLATFORM = 'https://tinfoil.sh/predicate/snp-tdx-multiplatform/v1'
const predicate = { snp_measurement: hex(0xaa), tdx_measurement: { rtmr1: hex(0xb1), rtmr2: hex(0xb2) } }
const bundle = (digest = DIGEST, by: Parameters<typeof sigstore.bundle>[1] = {}) => sigstore.bundle(
  digest, { at: now, ...by }
)
const measured = bundle('cd'.repeat(32), { predicateType: MULTIPLATFORM, predicate })
const repository = { repository: 'owner/name' }

const nonce = new Uint8Array(32).fill(9)
const keys = [{ kind: 'ohttp-keys' as const, value: Uint8Array.of(1, 2, 3) }]
const binding = await bindingDigest(nonce, keys)
const bound = reportData(binding)
const google = await issuerKey('google')
const azure = await issuerKey('azure')
const GOOGLE = 'https://confidentialcomputing.googleapis.com'
const AZURE = 'https://sharedneu.neu.attest.azure.net'
const keySets = { [GOOGLE]: { keys: [google.jwk] }, [AZURE]: { keys: [azure.jwk] } }
const seconds = now.getTime() / 1000
const times = { iat: seconds, nbf: seconds, exp: seconds + 600 }
const chain = await snpChain()
const intel = makeIntel()

interface Pieces {
  readonly tee: string
  readonly evidence: readonly TypedValue[]
  readonly endorsements?: readonly TypedValue[]
}

async function snp (hostData: string): Promise<Pieces> {
  const report = await snpReport(
    chain.leafKeys.privateKey, { reportData: bound, patches: [[0xc0, Buffer.from(hostData, 'hex')]] }
  )
  const certificates = [await leafCertificate(chain), chain.ask.certificate, chain.ark.certificate]
  return {
    tee: 'sev-snp',
    evidence: [[MEDIA_TYPES.snpReport, encodeBase64url(report)]],
    endorsements: certificates.map(der => [MEDIA_TYPES.certificate, encodeBase64url(der)] as const)
  }
}

const platforms = {
  google: {
    tee: 'google-confidential-space',
    evidence: [[MEDIA_TYPES.eatJwt, await google.sign({
      ...times,
      iss: GOOGLE,
      aud: 'polaris',
      eat_nonce: encodeBase64url(binding),
      secboot: true,
      hwmodel: 'GCP_INTEL_TDX',
      swname: 'CONFIDENTIAL_SPACE',
      dbgstat: 'disabled-since-boot',
      submods: {
        confidential_space: { support_attributes: ['STABLE'] }, container: { image_digest: `sha256:${DIGEST}` }
      }
    })]]
  },
  azure: {
    tee: 'azure-maa',
    evidence: [[MEDIA_TYPES.jwt, await azure.sign({
      ...times,
      iss: AZURE,
      'x-ms-attestation-type': 'sevsnpvm',
      'x-ms-compliance-status': 'azure-compliant-uvm',
      'x-ms-sevsnpvm-hostdata': HOST_DATA,
      'x-ms-sevsnpvm-launchmeasurement': hex(0xdd),
      'x-ms-sevsnpvm-guestsvn': 100,
      'x-ms-sevsnpvm-is-debuggable': false,
      'x-ms-sevsnpvm-migration-allowed': false,
      'x-ms-sevsnpvm-vmpl': 0,
      'x-ms-runtime': { nonce: encodeBase64url(binding) }
    })]]
  },
  snp: await snp('00'.repeat(32)),
  azureSnp: await snp(HOST_DATA),
  tdx: {
    tee: 'tdx',
    evidence: [[
      MEDIA_TYPES.tdxQuote,
      encodeBase64url(Uint8Array.from(quote(intel, { platform: intel.platform(), reportData: bound })))
    ]]
  }
} satisfies Record<string, Pieces>

const options = {
  nonce,
  now,
  keySets,
  platforms: {
    'sev-snp': { roots: { [chain.rootHash]: 'Milan' as const } },
    tdx: { roots: [intel.rootHash], collateral: collateral(intel) }
  }
}
const sections: AttestationPolicy['platforms'] = {
  'google-confidential-space': { audience: 'polaris' },
  'azure-maa': { issuers: [AZURE] },
  'sev-snp': {},
  tdx: { measurements: [{ mrtd: hex(0xa0) }] }
}

interface Scene {
  readonly provenance?: ProvenancePolicy
  readonly sections?: AttestationPolicy['platforms']
  readonly sources?: ProvenanceSources
  readonly endorsed?: readonly object[]
}

async function verdictOn (pieces: Pieces, scene: Scene): Promise<Verdict> {
  const endorsed = (scene.endorsed ?? []).map(value => [MEDIA_TYPES.sigstoreBundle, JSON.stringify(value)] as const)
  const document = await attestationDocument({
    tee: pieces.tee,
    nonce,
    cached: false,
    keys,
    evidence: pieces.evidence,
    endorsements: [...pieces.endorsements ?? [], ...endorsed],
    issuedAt: now
  })
  const policy: AttestationPolicy = {
    version: 1, platforms: { ...sections, ...scene.sections }, provenance: scene.provenance ?? repository
  }
  return verifyAttestation(
    JSON.stringify(document), policy, { ...options, provenance: { trustedRoot, ...scene.sources } }
  )
}

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

t.test('pieces by themselves have to be built, too', async t => {
  const policy: AttestationPolicy = { version: 1, platforms: sections, provenance: repository }
  const { nonce: _, ...rest } = options
  const verdict = (bundles: readonly object[]) => appraise(
    platforms.google, policy, { ...rest, provenance: { trustedRoot, bundles } }
  )
  t.same(failed(await verdict([bundle()])), [])
  t.same(failed(await verdict([])), ['provenance-bundle'])
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

t.test('evidence that does not say what runs cannot be built by anyone', async t => {
  const toy = {
    tee: 'toy',
    form: () => {},
    unpinned: () => undefined,
    verify: async () => ({ checks: [{ name: 'toy', outcome: 'passed' as const, detail: '' }], presented: {} })
  }
  const policy = { version: 1, platforms: { toy: {} }, provenance: repository } as AttestationPolicy
  const verdict = await appraise(
    { tee: 'toy', evidence: [] }, policy, { now, verifiers: [toy], provenance: { trustedRoot, bundles: [bundle()] } }
  )
  t.same(failed(verdict), ['provenance-subject'])
  t.equal(outcomeOf(verdict, 'toy'), 'passed')
})

const malformed: Array<[value: unknown, message: RegExp]> = [
  [{}, /provenance\.repository is missing/],
  [{ repository: 'owner' }, /provenance\.repository must match/],
  [{ ...repository, repo: 'x' }, /provenance\.repo is not known/],
  [{ ...repository, ref: 'v1' }, /provenance\.ref must match/],
  [{ ...repository, ref: 'refs/*/v*' }, /provenance\.ref must match/],
  [{ ...repository, ref: 'refs/tags/v1', refPrefix: 'refs/tags/' }, /has ref and refPrefix/],
  [{ ...repository, refPrefix: 'tags' }, /provenance\.refPrefix must match/],
  [{ ...repository, workflow: 'release' }, /provenance\.workflow must match/],
  [{ ...repository, issuer: 'http://issuer.example' }, /provenance\.issuer must match/],
  [{ ...repository, notBefore: 'yesterday' }, /provenance\.notBefore must be a time/],
  [{ ...repository, minimumLogEntries: 17 }, /at most 16/],
  [{ ...repository, bundles: ['text'] }, /provenance\.bundles\[0\] must be an object/],
  [{ ...repository, bundles: Array(33).fill({}) }, /provenance\.bundles has more than 32/],
  [{ ...repository, trustedRoot: [] }, /provenance\.trustedRoot must be an object/],
  ['owner/name', /provenance must be an object/]
]
t.test('a malformed section is an error that names the member', async t => {
  for (const [provenance, message] of malformed) {
    t.throws(() => parseAttestationPolicy(
      { version: 1, platforms: { 'google-confidential-space': { audience: 'x' } }, provenance }
    ), { name: 'AttestationPolicyError', message })
  }
  t.throws(
    () => parseAttestationPolicy({ version: 1, platforms: { 'google-confidential-space': { audience: 'x' } } }),
    AttestationPolicyError, 'without it, pins are missing'
  )
})

t.test('bundles are read as tools write them', async t => {
  const [one, two] = [bundle(), bundle('cd'.repeat(32))]
  t.same(readBundles(JSON.stringify(one, null, 2)), [one])
  t.same(readBundles(`${JSON.stringify(one)}\n${JSON.stringify(two)}\n`), [one, two])
  t.same(
    readBundles(JSON.stringify({ attestations: [{ bundle: one, repository_id: 1 }, { bundle: two }] })), [one, two]
  )
  for (const text of ['', '\n', 'x', '{}\nx', '{"attestations":[]}', '{"attestations":[{}]}', '{}\n'.repeat(33)]) {
    t.throws(() => readBundles(text), { code: 'ERR_BUNDLE' })
  }
})
