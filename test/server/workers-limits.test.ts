/** What is limited in one process is limited in a group of workers: as a whole, not in each. */
import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { adminOf } from '../fixtures/metrics.ts'
import { startWorkers } from '../fixtures/workers.ts'

const MIB = 2 ** 20

/** On a connection of its own, so that workers take turns. */
async function get (url: string): Promise<IncomingMessage> {
  const [answer] = await once(
    httpRequest(url, { agent: new Agent(), headers: { connection: 'close' } }).end(), 'response'
  ) as [IncomingMessage]
  answer.resume()
  return answer
}

t.test('requests for evidence of one client count in all workers', async t => {
  t.setTimeout(180_000)
  const most = 6
  const { server } = await startWorkers(t, {
    POLARIS_CONTAINER_ATTESTATION_TYPE: 'simulated', POLARIS_CONTAINER_ATTESTATION_RATE_LIMIT: String(most)
  })
  const ask = async () => {
    const answers: IncomingMessage[] = []
    for (let i = 0; i < 4 * most; i++) answers.push(await get(`${server.url}/polaris-container/attestation`))
    const served = answers.filter(({ statusCode }) => statusCode === 200).length
    t.ok(answers.every(({ statusCode }) => statusCode === 200 || statusCode === 429))
    return { served, retryAfter: Number(answers.at(-1)?.headers['retry-after'] ?? 0) }
  }
  let { served, retryAfter } = await ask()
  if (served !== most) {
    // A minute ended meanwhile.
    await setTimeout(retryAfter * 1000)
    served = (await ask()).served
  }
  t.equal(served, most)
})

t.test('buffers are those of the group, and a body is no larger than what one worker has', async t => {
  const { server } = await startWorkers(t, {
    POLARIS_CONTAINER_ADMIN_ADDRESS: '127.0.0.1:0',
    POLARIS_CONTAINER_MAX_BUFFERED_BYTES: String(6 * MIB),
    POLARIS_CONTAINER_MAX_BODY_BYTES: String(4 * MIB)
  })
  const admin = adminOf(server.lines)
  // A worker that is slow to answer is not in it yet.
  while (await admin.value('polaris_buffer_limit_bytes') !== 6 * MIB) await setTimeout(100)
  const line = await server.line(/the largest body is that of a worker's share/)
  t.match(JSON.parse(line), { level: 40, bytes: 3 * MIB })
})
