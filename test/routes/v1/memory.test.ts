/**
 * A v1 body that arrives byte by byte takes memory of about its size: it used to take more than a hundred times as
 * much.
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { run, startServer, untilReady } from '../../fixtures/process.ts'
import { v1Client } from '../../fixtures/v1-client.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const CONNECTIONS = 40
const BODY_BYTES = 128 * 1024
/** What 5 MiB of bodies may add to the process. It used to be 150 MiB, and the end of a process with a small heap. */
const MOST_GROWTH = 75 * 2 ** 20

t.test(`${CONNECTIONS} bodies byte by byte are served, in little memory`, async t => {
  const workload = await startWorkload(t, (request, response) => {
    let length = 0
    request.on('data', (piece: Buffer) => { length += piece.length }).on('end', () => response.end(String(length)))
  })
  const server = await startServer(t, {
    NODE_OPTIONS: '--max-old-space-size=256',
    POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url,
    POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION: 'true',
    POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION: 'true'
  })
  await untilReady(server.url)
  const client = await v1Client(server.url)
  const folder = t.testdir({})
  const heads: string[] = []
  const bodies: string[] = []
  for (let i = 0; i < CONNECTIONS; i++) {
    const { headers, body } = await client.request({ body: new Uint8Array(BODY_BYTES) })
    const lines = Object.entries(
      { host: 'x', connection: 'close', 'content-length': body?.length, ...headers }
    ).map(([name, value]) => `${name}: ${value}\r\n`)
    writeFileSync(heads[i] = `${folder}/head-${i}`, `POST / HTTP/1.1\r\n${lines.join('')}\r\n`)
    writeFileSync(bodies[i] = `${folder}/body-${i}`, body ?? '')
  }

  const before = server.rss()
  let peak = before
  const watch = setInterval(() => { if (server.child.exitCode === null) peak = Math.max(peak, server.rss()) }, 20)
  const clients = run(t, [
    fileURLToPath(new URL('../../fixtures/trickling-clients.ts', import.meta.url)), String(server.port), folder,
    String(CONNECTIONS)
  ])
  t.equal(await Promise.race([clients.exit, server.exit]), 0, clients.stderr())
  clearInterval(watch)
  t.strictSame(JSON.parse(clients.lines.join('')), Array(CONNECTIONS).fill('200'))
  t.ok(peak - before < MOST_GROWTH, `grew by ${Math.round((peak - before) / 2 ** 20)} MiB`)
})
