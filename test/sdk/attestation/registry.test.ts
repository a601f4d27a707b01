// The registry of verifiers: a kind of evidence that this package does not know is appraised by a verifier of this
// test, with its own section of the policy and its own options, without a change to any shared file.
import t from 'tap'
import { attestationDocument, bindingDigest } from '../../../lib/protocols/attestation.ts'
import { encodeBase64url } from '../../../lib/protocols/base64url.ts'
import {
  VERIFIERS, appraise, check, oneOfCheck, parseAttestationPolicy, verifyAttestation
} from '../../../sdk/attestation/index.ts'
import type { Verifier } from '../../../sdk/attestation/index.ts'
import { list, object, text } from '../../../sdk/attestation/policy-rules.ts'
import { failed } from '../../fixtures/verdict.ts'

interface ToyPolicy {
  readonly colours?: readonly string[]
}

declare module '../../../sdk/attestation/policy.ts' {
  interface PlatformPolicies {
    readonly toy?: ToyPolicy
  }
}

declare module '../../../sdk/attestation/context.ts' {
  interface PlatformOptions {
    readonly toy?: { readonly secret: string }
  }
}

const MEDIA_TYPE = 'application/vnd.example.toy'

/** Evidence is `secret colour binding`. */
const toy: Verifier<ToyPolicy> = {
  tee: 'toy',
  form: object({ colours: list(text) }),
  unpinned: ({ colours = [] }) => colours.length > 0 ? undefined : 'colours',
  async verify ({ evidence, binding, options }, policy) {
    const [secret, colour, bound] = evidence.find(([type]) => type === MEDIA_TYPE)?.[1].split(' ') ?? []
    return {
      checks: [
        check('secret', secret === options.platforms?.toy?.secret, 'The secret is the one of the options'),
        oneOfCheck('colour', 'The colour', policy.colours, colour),
        check('bound', binding !== undefined && bound === encodeBase64url(binding), 'The evidence carries the binding')
      ],
      presented: { toy: { colours: [colour ?? ''] } }
    }
  }
}

const verifiers = [...VERIFIERS, toy]
const nonce = new Uint8Array(16).fill(1)
const keys = [{ kind: 'ohttp-keys' as const, value: Uint8Array.of(1) }]
const evidence = [[MEDIA_TYPE, `s3cret red ${encodeBase64url(await bindingDigest(nonce, keys))}`]] as const
const document = JSON.stringify(await attestationDocument(
  { tee: 'toy' as never, nonce, cached: false, keys, evidence, endorsements: [], issuedAt: new Date() }
))
const red = { version: 1, platforms: { toy: { colours: ['red'] } } } as const
const options = { nonce, verifiers, platforms: { toy: { secret: 's3cret' } } }

t.test('a document of a kind that a verifier was registered for is appraised by it', async t => {
  const verdict = await verifyAttestation(document, red, options)
  t.same(failed(verdict), [])
  t.ok(verdict.verified)
  t.equal(verdict.tee, 'toy')
  t.same(verdict.presented, { toy: { colours: ['red'] } })
  t.same(
    failed(await verifyAttestation(document, { version: 1, platforms: { toy: { colours: ['blue'] } } }, options)),
    ['colour']
  )
  t.same(
    failed(await verifyAttestation(document, red, { ...options, platforms: { toy: { secret: 'other' } } })), ['secret']
  )
})

t.test('pieces of that kind are appraised as well', async t => {
  t.same(failed(await appraise(
    { tee: 'toy', evidence }, red,
    { verifiers, platforms: options.platforms, binding: await bindingDigest(nonce, keys) }
  )), [])
})

t.test('its section of the policy has the rules of every section', t => {
  t.throws(
    () => parseAttestationPolicy({ version: 1, platforms: { toy: { colors: [] } } }, verifiers),
    { message: /policy\.platforms\.toy\.colors is not known/ }
  )
  t.throws(
    () => parseAttestationPolicy({ version: 1, platforms: { toy: {} } }, verifiers),
    { message: /pins no software: give colours/ }
  )
  t.throws(() => parseAttestationPolicy(red), { message: /policy\.platforms\.toy is not known/ })
  t.end()
})

t.test('without it, that kind of evidence is refused', async t => {
  const verdict = await verifyAttestation(document, { version: 1, insecure: true, platforms: { tdx: {} } }, { nonce })
  t.same(failed(verdict), ['platform'])
})
