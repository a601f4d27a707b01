/**
 * What idle connections cost: memory of each of 1,000 that have had one request and are kept, and the CPU that all of
 * them take in ten seconds; `npm exec -- node bench/idle.ts`.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import { PROXY, leaveTheCore, startFlags, startServer } from './processes.ts'

const CONNECTIONS = 1000
const SECONDS = 10

leaveTheCore()
const workload = await startServer('bench/workload.ts', '/', {}, 'others')
const env = { POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url }

console.log(`Node ${process.version}, ${CONNECTIONS} connections.\n`)
console.log('| server | memory of a connection, KiB | CPU of all in a second, ms |\n| --- | ---: | ---: |')
try {
  for (const [name, file] of [['Fastify + reply-from (floor)', 'bench/floor.ts'], ['the proxy', PROXY]] as const) {
    const server = await startServer(file, '/', env, 'one', { flags: startFlags() })
    // What the first requests leave behind is not the connections'.
    await connectAll(server.url, 200).then(close => close())
    await setTimeout(2000)
    const before = residentKib(server.process.pid)
    const close = await connectAll(server.url, CONNECTIONS)
    await setTimeout(2000)
    const memory = (residentKib(server.process.pid) - before) / CONNECTIONS
    await server.reset()
    await setTimeout(SECONDS * 1000)
    const { cpu } = await server.read()
    console.log(`| ${name} | ${memory.toFixed(1)} | ${(cpu / 1000 / SECONDS).toFixed(1)} |`)
    close()
    await server.stop()
  }
} finally {
  await workload.stop()
}

/** Each has had an answer when this resolves. */
async function connectAll (url: string, count: number): Promise<() => void> {
  const agent = new Agent({ keepAlive: true, maxSockets: count, maxFreeSockets: count })
  const answers = Array.from({ length: count }, async () => {
    const [response] = await once(httpRequest(url, { agent }).end(), 'response') as [IncomingMessage]
    return response
  })
  // No connection is used twice, as none is free before all have been answered.
  const responses = await Promise.all(answers)
  await Promise.all(responses.map(response => once(response.resume(), 'end')))
  return () => agent.destroy()
}

function residentKib (pid: number | undefined): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}
