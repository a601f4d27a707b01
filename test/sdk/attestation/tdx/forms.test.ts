/** Quotes and collateral of any form get a verdict: other versions, cut off at any place, and with any change. */
import fc from 'fast-check'
import t from 'tap'
import type { TdxCollateral } from '../../../../sdk/attestation/index.ts'
import { collateral, tcbInfo } from '../../../fixtures/intel/collateral.ts'
import { quote } from '../../../fixtures/intel/quote.ts'
import { failed } from '../../../fixtures/verdict.ts'
import { MEDIA_TYPE, appraise, bound, eachFailsAlone, intel, platform } from '../../../fixtures/intel/scene.ts'
import type { Scene } from '../../../fixtures/intel/scene.ts'

const cases: Array<[name: string, check: string, scene: Scene]> = [
  ['a quote of version 3', 'evidence', { quote: { header: [[0, [3]]] } }],
  ['a quote of SGX', 'evidence', { quote: { header: [[4, [0]]] } }],
  ['another kind of attestation key', 'evidence', { quote: { header: [[2, [3]]] } }],
  ['certification data of another kind', 'evidence', { quote: { types: [5, 5] } }],
  ['an encrypted platform identity in place of a chain', 'evidence', { quote: { types: [6, 3] } }],
  ['something behind the quote', 'evidence', { quote: { trailing: Uint8Array.of(0, 1) } }],
  ['two quotes', 'evidence', { evidence: [[MEDIA_TYPE, 'AAAA'], [MEDIA_TYPE, 'AAAA']] }],
  ['no quote', 'evidence', { evidence: [] }],
  ['a quote that is not base64url', 'evidence', { evidence: [[MEDIA_TYPE, '=']] }]
]
eachFailsAlone(t, cases)

t.test('a quote is refused when it ends at any place, and by a verdict', async t => {
  const whole = quote(intel, { platform, reportData: bound })
  for (let length = 0; length < whole.length; length += length < 1400 ? 1 : 37) {
    const names = failed(await appraise({ patch: () => whole.subarray(0, length) }))
    if (!names.includes('evidence')) t.fail(`${length}: ${names.join(', ')}`)
  }
})

t.test('a quote or collateral with any change is refused, and by a verdict', async () => {
  const whole = quote(intel, { platform, reportData: bound })
  const given = collateral(intel)
  const parts = Object.keys(given) as Array<keyof TdxCollateral>
  await fc.assert(fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
    const { verified } = await appraise(
      { patch: () => { const copy = Buffer.from(whole); copy[at]! ^= change; return copy } }
    )
    return !verified
  }), { numRuns: 150 })
  await fc.assert(fc.asyncProperty(fc.constantFrom(...parts), fc
    .nat(), fc.integer({ min: 1, max: 127 }), async (part, at, change) => {
    const text = Buffer.from(String(given[part]), 'latin1')
    text[at % text.length]! ^= change
    const { verified } = await appraise({ collateralPatch: { [part]: text.toString('latin1') } })
    return !verified
  }), { numRuns: 150 })
})

t.test('TCB info, identity and lists of any form give a verdict', async () => {
  await fc.assert(fc.asyncProperty(fc.jsonValue().filter(value => value !==
    null), fc.constantFrom('tcbInfo', 'qeIdentity'), async (value, part) => {
    const { verified } = await appraise({ collateral: { [part]: value as never } })
    return !verified
  }), { numRuns: 60 })
  await fc.assert(fc.asyncProperty(fc.constantFrom(
    'tcbLevels', 'tdxModule', 'tdxModuleIdentities', 'fmspc', 'nextUpdate', 'version'
  ), fc.jsonValue(), async (member, value) => {
    await appraise({ collateral: { tcbInfo: tcbInfo({ [member]: value }) } })
  }), { numRuns: 60 })
})
