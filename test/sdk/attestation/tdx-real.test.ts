// Genuine TDX quotes with Intel's collateral of their time. They were made for other report data, so `bound` is not
// checked. An independent library agrees about each of them.
import { readFileSync } from 'node:fs'
import qvl from '@phala/dcap-qvl'
import t from 'tap'
import { appraise } from '../../../sdk/attestation/index.ts'
import type { TdxCollateral, TdxPolicy } from '../../../sdk/attestation/index.ts'
import { parseTdxQuote } from '../../../sdk/attestation/tdx/quote.ts'
import { absent, shared, sharedJson } from '../../fixtures/shared.ts'
import { failed } from '../../fixtures/verdict.ts'

t.setTimeout(240_000)

interface Recording {
  readonly name: string
  readonly quote: Buffer
  readonly collateral: TdxCollateral
  readonly now: Date
}

const folder = new URL('../../fixtures/tdx/', import.meta.url)
const older: Recording = {
  name: 'a module of TDX 1.5 in June 2025',
  quote: readFileSync(new URL('quote.bin', folder)),
  collateral: JSON.parse(readFileSync(new URL('collateral.json', folder), 'utf8')),
  now: new Date('2025-06-20T00:00:00Z')
}
const skip = absent('fixtures', 'tdx')
const recordings: Recording[] = [older, ...skip
  ? []
  : ['quote-1.bin', 'quote-2.bin'].map(file => ({
      name: `${file} of June 2026`,
      quote: shared('fixtures', 'tdx', file),
      collateral: sharedJson('fixtures', 'tdx', 'collateral.json') as TdxCollateral,
      now: new Date((sharedJson('fixtures', 'tdx', 'when.json') as { date: string }).date)
    }))]
t.test('the recordings of June 2026 are there', { skip }, async t => t.equal(recordings.length, 3))

function pinsOf (quote: Buffer): TdxPolicy {
  const { mrtd, rtmr0, rtmr1, rtmr2, rtmr3 } = parseTdxQuote(Uint8Array.from(quote)).report
  return { measurements: [{ mrtd, rtmr0, rtmr1, rtmr2, rtmr3 }] }
}

type Changes = Omit<Partial<Recording>, 'collateral'> & { policy?: TdxPolicy, collateral?: Record<string, unknown> }

function verdictOf (
  recording: Recording, { quote = recording.quote, now = recording.now, policy = {}, collateral = {} }: Changes = {}
) {
  return appraise(
    { tee: 'tdx', evidence: [['application/vnd.polaris.tdx-quote', quote.toString('base64url')]] },
    { version: 1, platforms: { tdx: { ...pinsOf(recording.quote), ...policy } } },
    { now, platforms: { tdx: { collateral: { ...recording.collateral, ...collateral } } } }
  )
}

function changed (quote: Buffer, at: number, change = 1): Buffer {
  const copy = Buffer.from(quote)
  copy[at]! ^= change
  return copy
}

for (const recording of recordings) {
  t.test(`${recording.name}: verified up to Intel's root at its time`, async t => {
    const verdict = await verdictOf(recording)
    t.same(failed(verdict), [])
    t.ok(verdict.verified)
    const { status } = qvl.verify(
      recording.quote, recording.collateral as never, Math.floor(recording.now.getTime() / 1000)
    ) as { status: unknown }
    t.equal(status, 'UpToDate', 'as the library finds')
  })

  t.test(`${recording.name}: each changed byte is refused`, { timeout: 240_000 }, async t => {
    const { quote, collateral } = recording
    for (let at = 0; at < quote.length; at += at < 1300 || at > 4900 ? 5 : 61) {
      if ((await verdictOf(recording, { quote: changed(quote, at, 1 << at % 8) })).verified) t.fail(`byte ${at}`)
    }
    for (const [name, text] of Object.entries(collateral) as Array<[keyof TdxCollateral, string]>) {
      for (let at = 0; at < text.length; at += Math.ceil(text.length / 40)) {
        const { verified } = await verdictOf(
          recording,
          { collateral: { [name]: changed(Buffer.from(text), at, at % 2 === 0 ? 1 : 0x20).toString('latin1') } }
        )
        if (verified) t.fail(`${name}, character ${at}`)
      }
    }
  })
}

const days = (recording: Recording, days: number) => new Date(recording.now.getTime() + days * 86_400_000)
const cases: Array<[name: string, checks: string[], changes: Changes]> = [
  ['collateral that has expired', ['collateral'], { now: days(older, 30) }],
  ['collateral from the future', ['collateral'], { now: days(older, -1) }],
  [
    'changed TCB info', ['collateral'],
    { collateral: { tcb_info: older.collateral.tcb_info.replace('UpToDate', 'OutOfDate') } }
  ],
  ['a TCB status that the policy does not accept', ['tcb'], { policy: { tcbStatuses: ['OutOfDate'] } }],
  [
    'other firmware expected', ['measurement'],
    { policy: { measurements: [{ ...pinsOf(older.quote).measurements![0], mrtd: '00'.repeat(48) }] } }
  ],
  ['a debug bit that was set', ['quote', 'debug'], { quote: changed(older.quote, 168) }],
  ['a module of somebody else\'s', ['quote', 'module'], { quote: changed(older.quote, 112) }]
]
for (const [name, checks, changes] of cases) {
  t.test(`${name}: ${checks.join(', ')}`, async t => {
    const verdict = await verdictOf(older, changes)
    t.same(failed(verdict).filter(check => check !== 'tcb' || checks.includes('tcb')), checks)
  })
}
