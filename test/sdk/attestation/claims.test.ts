// Claims: the protections that a proxy's settings take back are in what was attested, and a policy can refuse them.
import t from 'tap'
import fc from 'fast-check'
import { simulated } from '../../../lib/platforms/local/simulated-evidence.ts'
import {
  attestationDocument, bindingPreimage, readWeakenings, sha256, weakeningsClaim
} from '../../../lib/protocols/attestation.ts'
import type { AttestedKey, Claim } from '../../../lib/protocols/attestation.ts'
import { AttestationPolicyError, parseAttestationPolicy, verifyAttestation } from '../../../sdk/attestation/index.ts'

const attester = await simulated()
const nonce = new Uint8Array(32).fill(9)
const keys: AttestedKey[] = [{ kind: 'tls-spki', value: Uint8Array.of(1, 2, 3) }]

async function verdictOf (claims: readonly Claim[], policy: object = {}, bound = claims) {
  const preimage = await bindingPreimage(nonce, keys, { claims: bound })
  const platform = await attester.evidence({ preimage, binding: await sha256(preimage) })
  const document = await attestationDocument({ ...platform, nonce, cached: false, keys, claims, issuedAt: new Date() })
  const accepted = {
    version: 1, development: true, platforms: { simulated: { roots: [attester.root] } }, ...policy
  } as const
  return verifyAttestation(JSON.stringify(document), accepted, { nonce })
}

async function outcomeOf (claims: readonly Claim[], policy: object = {}) {
  const { verified, checks } = await verdictOf(claims, policy)
  const { outcome, detail } = checks.find(({ name }) => name === 'weakenings') ?? {}
  return { verified, outcome, detail }
}

const weak = weakeningsClaim(['plaintext-accepted', 'v1-replay'])

t.test('the strict mode accepts a proxy that takes nothing back, and no other', async t => {
  const strict = { acceptedWeakenings: [] }
  t.match(await outcomeOf([weakeningsClaim([])], strict), { verified: true, outcome: 'passed' })
  t.match(
    await outcomeOf([weak], strict), { verified: false, outcome: 'failed', detail: /plaintext-accepted.*v1-replay/ }
  )
  t.match(await outcomeOf([], strict), { verified: false, outcome: 'failed', detail: /does not say/ })
})

t.test('a policy that lists some accepts those and fewer', async t => {
  t.match(
    await outcomeOf([weak], { acceptedWeakenings: ['v1-replay', 'plaintext-accepted'] }),
    { verified: true, outcome: 'passed' }
  )
  t.match(
    await outcomeOf([weakeningsClaim([])], { acceptedWeakenings: ['v1-replay'] }), { verified: true, outcome: 'passed' }
  )
  const refused = await outcomeOf([weak], { acceptedWeakenings: ['v1-replay'] })
  t.match(refused, { verified: false, outcome: 'failed', detail: /"plaintext-accepted"/ })
  t.notMatch(refused.detail, 'v1-replay')
})

t.test('a policy that asks for nothing is told all the same', async t => {
  t.match(
    await outcomeOf([weak]),
    { verified: true, outcome: 'skipped', detail: /plaintext-accepted, v1-replay; the policy accepts any/ }
  )
  t.match(await outcomeOf([weakeningsClaim([])]), { verified: true, outcome: 'passed' })
  t.match(await outcomeOf([]), { verified: true, outcome: 'skipped', detail: /does not say/ })
  t.same((await verdictOf([weak])).weakenings, ['plaintext-accepted', 'v1-replay'])
  t.equal((await verdictOf([])).weakenings, undefined)
})

t.test('a claim that was exchanged after it was bound is refused', async t => {
  const { verified, checks } = await verdictOf([weakeningsClaim([])], {}, [weak])
  t.equal(verified, false)
  t.match(checks.find(({ name }) => name === 'bound'), { outcome: 'failed' })
})

t.test('a claim that cannot be read is refused whatever the policy says', async t => {
  for (const value of [
    '', '{}', '[1]', '["Capital"]', '["a","a"]', 'null', JSON.stringify(Array(65).fill(0).map((_, i) => `a${i}`))
  ]) {
    t.match(await outcomeOf([['weakenings', value]]), { verified: false, outcome: 'failed' }, value)
  }
  fc.assert(fc.property(fc.string(), value => {
    const read = readWeakenings([['weakenings', value]])
    return read === 'malformed' || Array.isArray(read)
  }))
})

t.test('claims that this version does not know are named, and used by nothing', async t => {
  const { verified, checks } = await verdictOf([['region', 'north'], weakeningsClaim([])])
  t.equal(verified, true)
  t.match(checks.find(({ name }) => name === 'claims'), { outcome: 'skipped', detail: /region/ })
})

t.test('a policy names codes, and nothing else', async t => {
  for (const acceptedWeakenings of ['v1-replay', [1], [''], ['Not a code']]) {
    const policy = { version: 1, development: true, platforms: { simulated: {} }, insecure: true, acceptedWeakenings }
    t.throws(() => parseAttestationPolicy(policy), AttestationPolicyError)
  }
})
