// What stands for Node's isDeepStrictEqual in browsers decides as Node's does about everything that a bundle can hold.
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { isDeepStrictEqual as inBrowsers } from '../../../../sdk/browser/util.ts'

const values = () => [
  undefined, null, 0, -0, NaN, 1n, '', 'a', true, {}, [], [1], [1, 2], { a: 1 }, { a: 1, b: undefined },
  { a: { b: [1] } }, new Date(0), new Date(1), new Date(NaN),
  Uint8Array.of(1, 2), Uint8Array.of(1, 3), Uint8Array.of(1), Buffer.from([1, 2]),
  { type: 'log', logID: Buffer.of(1), timestamp: new Date(5) },
  { type: 'log', logID: Buffer.of(2), timestamp: new Date(5) },
  { type: 'log', logID: Buffer.of(1), timestamp: new Date(6) }
]

t.test('each value against each', async t => {
  const [ones, others] = [values(), values()]
  for (const [i, one] of ones.entries()) {
    for (const [j, other] of others.entries()) {
      t.equal(inBrowsers(one, other), isDeepStrictEqual(one, other), `${i} and ${j}`)
    }
  }
})
