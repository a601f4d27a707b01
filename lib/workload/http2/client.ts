/** HTTP/2 to the workload without TLS, from the first byte on ("prior knowledge"). */
import { errors } from 'undici'
import type { WorkloadAddress } from '../address.ts'
import type { WorkloadClient, WorkloadTimeouts } from '../client.ts'
import { createSessions } from './sessions.ts'
import { requestOn } from './stream.ts'

export function createHttp2Client (
  { url: { origin, host }, basePath }: WorkloadAddress, { connectTimeout, ...timeouts }: WorkloadTimeouts
): WorkloadClient {
  const sessions = createSessions(origin, connectTimeout)
  return {
    send (request, callback) {
      const { signal } = request
      const cancel = sessions.take((error, lease) => {
        signal.off('abort', leave)
        if (lease === undefined) return callback(error)
        requestOn(lease, request, { ...timeouts, authority: host, basePath }, callback)
      })
      function leave (): void {
        cancel()
        callback(new errors.RequestAbortedError())
      }
      signal.once('abort', leave)
    },
    get stats () { return sessions.stats },
    async close () { sessions.close() }
  }
}
