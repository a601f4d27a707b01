/** Limits of a process are those of all workers together. */
import fc from 'fast-check'
import t from 'tap'
import { configFrom } from '../../../lib/config/config.ts'
import { configOfWorker } from '../../../lib/config/worker-share.ts'

const base = { workloadBaseUrl: 'http://localhost:3001' }

t.test('one worker has all of it', async t => {
  const config = configFrom(base)
  t.strictSame(configOfWorker(config, 1), config)
})

t.test('all workers together have no more than one process, and each can start', async t => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 256 }), fc.integer({ min: 256, max: 2 ** 31 }), fc.integer({ min: 256, max: 65535 }),
    (workers, bytes, count) => {
      const maxBufferedBytes = Math.max(bytes, workers * 2 ** 20)
      const config = configFrom({
        ...base,
        maxBufferedBytes,
        maxBodyBytes: Math.min(maxBufferedBytes, 64 * 2 ** 20),
        workloadConnections: count,
        websockets: count,
        maxPendingUnwraps: count
      })
      const own = configFrom(configOfWorker(config, workers))
      return own.maxBufferedBytes * workers <= maxBufferedBytes && own.workloadConnections * workers <= count &&
        own.maxPendingUnwraps * workers <= count && own.websockets * workers <= count &&
        own.maxBodyBytes <= own.maxBufferedBytes &&
        own.maxBodyBytes === Math.min(config.maxBodyBytes, own.maxBufferedBytes)
    }
  ), { numRuns: 20 })
})

t.test('what is off stays off', async t => {
  t.equal(configOfWorker(configFrom({ ...base, websockets: 0 }), 4).websockets, 0)
})

t.test('no share is too small to start with', async t => {
  const config = configFrom(
    { ...base, maxBufferedBytes: 2 ** 20, maxBodyBytes: 1000, workloadConnections: 1, maxPendingUnwraps: 1 }
  )
  t.match(configFrom(configOfWorker(config, 256)), {
    maxBufferedBytes: 2 ** 20, maxBodyBytes: 1000, workloadConnections: 1, maxPendingUnwraps: 1
  })
})
