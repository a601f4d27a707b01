// A genuine TDX quote with Intel's collateral, verified by the real library. It was made for other report data, so that
// `bound` fails throughout; everything else holds.
import { readFileSync } from 'node:fs'
import qvl from '@phala/dcap-qvl'
import t from 'tap'
import { attestationDocument } from '../../../lib/protocols/attestation.ts'
import { encodeBase64url } from '../../../lib/protocols/base64url.ts'
import { verifyAttestation } from '../../../sdk/attestation/index.ts'
import type { TdxPolicy } from '../../../sdk/attestation/index.ts'
import { failed } from '../../fixtures/verdict.ts'

const folder = new URL('../../fixtures/tdx/', import.meta.url)
const genuine = readFileSync(new URL('quote.bin', folder))
const collateral = JSON.parse(readFileSync(new URL('collateral.json', folder), 'utf8'))
const register = (at: number) => genuine.subarray(at, at + 48).toString('hex')
const measurement = { mrtd: register(184), rtmr0: register(376), rtmr1: register(424), rtmr2: register(472), rtmr3: register(520) }

interface Scene {
  quote?: Buffer
  now?: string
  policy?: TdxPolicy
  collateral?: object
}

async function appraise (scene: Scene = {}) {
  const nonce = new Uint8Array(16)
  const quote = scene.quote ?? genuine
  const document = await attestationDocument({
    tee: 'tdx',
    nonce,
    cached: false,
    keys: [{ kind: 'tls-spki', value: Uint8Array.of(1) }],
    evidence: [['application/vnd.polaris.tdx-quote', encodeBase64url(quote)]],
    endorsements: [],
    issuedAt: new Date()
  })
  return verifyAttestation(JSON.stringify(document), { version: 1, platforms: { tdx: scene.policy ?? { measurements: [measurement] } } }, {
    nonce,
    now: new Date(scene.now ?? '2025-06-20T00:00:00Z'),
    tdxVerifier: { verify: qvl.verify, getCollateralFromPcs: async () => ({ ...collateral, ...scene.collateral }) }
  })
}

function changed (at: number, bit = 0): Buffer {
  const quote = Buffer.from(genuine)
  quote[at]! ^= 1 << bit
  return quote
}

t.test('it verifies up to Intel\'s root, with its measurements', async t => {
  const verdict = await appraise()
  t.same(failed(verdict), ['bound'])
  t.ok(verdict.checks.every(({ name, outcome }) => outcome === (name === 'bound' ? 'failed' : 'passed')))
  t.same(verdict.presented, { tdx: { measurements: [measurement] } })
})

const day = (text: string) => `${text}T00:00:00Z`
const cases: Array<[name: string, checks: string[], scene: Scene]> = [
  ['collateral that has expired', ['quote', 'bound'], { now: day('2025-07-20') }],
  ['collateral from the future', ['quote', 'bound'], { now: day('2025-06-19') }],
  ['changed collateral', ['quote', 'bound'], { collateral: { tcb_info: collateral.tcb_info.replace('UpToDate', 'OutOfDate') } }],
  ['a TCB status that the policy does not accept', ['tcb', 'bound'], { policy: { measurements: [measurement], tcbStatuses: ['OutOfDate'] } }],
  ['other firmware expected', ['bound', 'measurement'], { policy: { measurements: [{ ...measurement, mrtd: '00'.repeat(48) }] } }],
  ['another kernel expected', ['bound', 'measurement'], { policy: { measurements: [{ ...measurement, rtmr1: '00'.repeat(48) }] } }],
  ['a changed MRTD', ['quote', 'bound', 'measurement'], { quote: changed(184) }],
  ['changed report data', ['quote', 'bound'], { quote: changed(568) }],
  ['a debug bit that was set', ['quote', 'bound', 'debug'], { quote: changed(168) }],
  ['a module of somebody else\'s', ['quote', 'module', 'bound'], { quote: changed(112) }],
  ['a changed certificate', ['quote', 'bound'], { quote: changed(1500) }]
]
for (const [name, checks, scene] of cases) {
  t.test(`${name}: ${checks.join(', ')}`, async t => {
    t.same(failed(await appraise(scene)), checks)
  })
}

t.test('each flipped bit of what is signed is refused, and of the signatures', async t => {
  // Header and TD report; signature and attestation key; QE report, its signature and its authentication data.
  for (const [from, to] of [[0, 632], [636, 764], [770, 1218], [1220, 1252]] as const) {
    for (let at = from; at < to; at += 13) {
      const verdict = await appraise({ quote: changed(at, at % 8) })
      if (!failed(verdict).some(name => name === 'quote' || name === 'evidence')) t.fail(`octet ${at}`)
    }
  }
})

t.test('a quote that is cut short is refused', async t => {
  for (const length of [0, 100, 631, 632, 700, 1257, 2000, 4000]) {
    t.ok(failed(await appraise({ quote: genuine.subarray(0, length) })).some(name => name === 'quote' || name === 'evidence'), String(length))
  }
})
