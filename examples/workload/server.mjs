// A workload as anybody might have it: a small HTTP server that knows nothing of encryption.
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const { PORT = '3001', HOST = '127.0.0.1', STOP_DELAY = '0' } = process.env

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://workload')
  const route = routes[`${request.method} ${url.pathname}`] ?? notFound
  await route(request, response, url.searchParams)
})

const routes = {
  // Answers by name, and shows that headers arrive.
  'GET /hello': (request, response, query) => json(response, 200, {
    greeting: `Hello, ${query.get('name') ?? 'stranger'}`,
    authorization: request.headers.authorization ?? null
  }),

  // Sends back what it gets.
  'POST /echo': (request, response) => {
    response.writeHead(200, { 'content-type': request.headers['content-type'] ?? 'application/octet-stream' })
    request.pipe(response)
  },

  // Takes its time.
  'GET /slow': async (request, response, query) => {
    await sleep(Math.min(Number(query.get('ms') ?? 1000), 60_000))
    json(response, 200, { slow: true })
  },

  // Server-sent events, one after the other.
  'GET /events': async (request, response, query) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    const count = Math.min(Number(query.get('count') ?? 10), 1000)
    for (let id = 1; id <= count && !response.destroyed; id++) {
      response.write(`id: ${id}\ndata: ${id} of ${count}\n\n`)
      await sleep(Math.min(Number(query.get('ms') ?? 1000), 60_000))
    }
    response.end()
  }
}

function notFound (request, response) {
  json(response, 404, { error: `there is no ${request.method} ${request.url} here` })
}

function json (response, status, value) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

server.listen(Number(PORT), HOST, () => {
  const { address, port } = server.address()
  console.log(`workload: listening on http://${address}:${port}`)
})

// A proxy that is stopped at the same time goes on forwarding for a while: accept for as long as it may (in seconds).
process.once('SIGTERM', async () => {
  await sleep(Number(STOP_DELAY) * 1000)
  server.close(() => process.exit(0))
})
