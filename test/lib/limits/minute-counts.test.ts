/** Counts of what clients did within a minute, with bounded memory. */
import t from 'tap'
import { createMinuteCounts } from '../../../lib/limits/minute-counts.ts'

t.test('counts are of the minute, and begin again with the next', async t => {
  let now = 60_000 * 7 + 10_000
  const counts = createMinuteCounts(() => now)
  t.strictSame(counts.add('a', 0), { count: 0, left: 50_000 })
  t.strictSame(counts.add('a', 1), { count: 1, left: 50_000 })
  now += 49_999
  t.strictSame(counts.add('a', 1), { count: 2, left: 1 })
  t.strictSame(counts.add('b', 1), { count: 1, left: 1 })
  now++
  t.strictSame(counts.add('a', 0), { count: 0, left: 60_000 })
})

t.test('a million clients take bounded memory, and who only asks takes none', async t => {
  const counts = createMinuteCounts(() => 0)
  counts.add('first', 1)
  for (let i = 0; i < 1_000_000; i++) counts.add(`asking ${i}`, 0)
  t.equal(counts.add('first', 0).count, 1)
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < 1_000_000; i++) counts.add(String(i), 1)
  t.ok(process.memoryUsage().heapUsed - before < 100e6)
  t.equal(counts.add('first', 0).count, 0, 'those longest known give way')
  t.equal(counts.add('999999', 0).count, 1)
})
