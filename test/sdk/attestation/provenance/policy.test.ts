/** Policies that demand provenance: which are malformed, how bundles are read, and evidence that comes in pieces. */
import t from 'tap'
import {
  AttestationPolicyError, appraise, parseAttestationPolicy, readBundles
} from '../../../../sdk/attestation/index.ts'
import type { AttestationPolicy } from '../../../../sdk/attestation/index.ts'
import { failed, outcomeOf } from '../../../fixtures/verdict.ts'
import { bundle, now, options, platforms, repository, sections, trustedRoot } from '../../../fixtures/provenance.ts'

t.test('pieces by themselves have to be built, too', async t => {
  const policy: AttestationPolicy = { version: 1, platforms: sections, provenance: repository }
  const { nonce: _, ...rest } = options
  const verdict = (bundles: readonly object[]) => appraise(
    platforms.google, policy, { ...rest, provenance: { trustedRoot, bundles } }
  )
  t.same(failed(await verdict([bundle()])), [])
  t.same(failed(await verdict([])), ['provenance-bundle'])
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
