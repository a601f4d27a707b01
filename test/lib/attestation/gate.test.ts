// The gate: which states follow from which times and events.
import t from 'tap'
import { createGate } from '../../../lib/attestation/gate.ts'

function scene (required = true) {
  const clock = { time: 1000 }
  return { clock, gate: createGate({ required, grace: 100, now: () => clock.time }) }
}

t.test('the gate is closed until there is evidence, open while it is fresh and within the grace, then ' +
  'closed', async t => {
  const { clock, gate } = scene()
  t.match(gate.status(), { state: 'waiting', open: false, reason: /yet/, evidenceAge: undefined })
  t.equal(gate.closesAt(), undefined)
  gate.obtained(2000)
  t.match(gate.status(), { state: 'fresh', open: true, reason: undefined, evidenceAge: 0, renewals: 0 })
  t.equal(gate.closesAt(), 2100)
  clock.time = 1999
  t.match(gate.status(), { state: 'fresh', open: true, evidenceAge: 999 })
  clock.time = 2000
  t.match(gate.status(), { state: 'grace', open: true, reason: /expired/ })
  clock.time = 2099
  t.match(gate.status(), { state: 'grace', open: true })
  clock.time = 2100
  t.match(gate.status(), { state: 'failed', open: false })
})

t.test('failures count and give the reason, and change nothing while evidence is good', async t => {
  const { clock, gate } = scene()
  gate.failed('the launcher is away')
  t.match(gate.status(), { state: 'waiting', open: false, reason: 'the launcher is away', failures: 1 })
  gate.obtained(2000)
  gate.failed('the launcher is away')
  gate.failed('the launcher is away')
  t.match(gate.status(), { state: 'fresh', open: true, reason: undefined, failures: 2 })
  clock.time = 2050
  t.match(gate.status(), { state: 'grace', reason: 'the launcher is away' })
})

t.test('new evidence opens the gate again', async t => {
  const { clock, gate } = scene()
  gate.obtained(2000)
  clock.time = 5000
  t.equal(gate.status().open, false)
  gate.obtained(6000)
  t.match(gate.status(), { state: 'fresh', open: true, renewals: 1, failures: 0, evidenceAge: 0 })
})

t.test('evidence that is refused closes the gate at once, until there is better', async t => {
  const { gate } = scene()
  gate.obtained(2000)
  gate.refused('image')
  t.match(gate.status(), { state: 'failed', open: false, reason: 'image' })
  t.equal(gate.closesAt(), undefined)
  gate.failed('the launcher is away')
  t.match(gate.status(), { state: 'failed', open: false }, 'no evidence is no better evidence')
  gate.obtained(2000)
  t.match(gate.status(), { state: 'fresh', open: true })
})

t.test('a gate that is not required is always open, and tells all the same', async t => {
  const { clock, gate } = scene(false)
  t.match(gate.status(), { state: 'waiting', open: true })
  gate.obtained(2000)
  clock.time = 9999
  t.match(gate.status(), { state: 'failed', open: true })
  gate.refused('image')
  t.match(gate.status(), { state: 'failed', open: true })
  t.equal(gate.closesAt(), undefined)
})
