/** Streams take memory that does not depend on their length: measured on the process that serves them. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Test } from 'tap'
import { startServer, untilReady } from '../../fixtures/process.ts'
import { growth, inMib } from '../../fixtures/transfers.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const STREAMS = 8
const LENGTH = 32 * 2 ** 20
/**
 * What all streams together may add: far less than the 256 MiB that pass, and room for what the runtime has not
 * collected yet.
 */
const MOST_GROWTH = 120 * 2 ** 20
const PIECE = Buffer.alloc(64 * 1024, 0x61)

/** Runs the clients in a process of their own; they answer with what they got. */
async function streamThrough (
  t: Test, url: string, up: number, down: number
): Promise<{ status: number, length: number }[]> {
  const child = fork(
    fileURLToPath(new URL('../../fixtures/stream-clients.ts', import.meta.url)),
    [url, String(STREAMS), String(up), String(down)]
  )
  t.teardown(() => { child.kill('SIGKILL') })
  const [results] = await once(child, 'message')
  return results as { status: number, length: number }[]
}

for (const [direction, up, down] of [['up', LENGTH, 0], ['down', 0, LENGTH]] as const) {
  t.test(`${STREAMS} streams of ${LENGTH / 2 ** 20} MiB at once, ${direction}, take little memory`, async t => {
    const workload = await startWorkload(t, async (request, response) => {
      let received = 0
      for await (const piece of request) received += (piece as Buffer).length
      response.setHeader('x-received', received)
      for (let left = Number(request.headers['x-want']); left > 0; left -= PIECE.length) {
        if (!response.write(PIECE)) await once(response, 'drain')
      }
      response.end()
    })
    const server = await startServer(t, { POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url })
    await untilReady(server.url)
    await streamThrough(t, server.url, 2 ** 20, 2 ** 20)

    const before = server.rss()
    const grown = await growth(server, async () => {
      const results = await streamThrough(t, server.url, up, down)
      t.strictSame(results, Array.from({ length: STREAMS }, () => ({ status: 200, length: up + down })))
    })
    t.comment(`${inMib(before)} before, ${inMib(before + grown)} at most`)
    t.ok(grown < MOST_GROWTH, `grew by ${inMib(grown)}`)
  })
}
