/**
 * The workload of bench/events.ts: each request gets a stream of so many events of 50 bytes, one every so many
 * milliseconds (`?count=1000&interval=5`), each with the time at which it was written.
 */
import { createServer } from 'node:http'
import { EVENT_BYTES } from './event.ts'

createServer((request, response) => {
  request.resume()
  const { searchParams } = new URL(request.url ?? '/', 'http://workload')
  let left = Number(searchParams.get('count') ?? 1)
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const timer = setInterval(() => {
    response.write(`data: ${process.hrtime.bigint()}`.padEnd(EVENT_BYTES - 2, ' ') + '\n\n')
    if (--left > 0) return
    clearInterval(timer)
    response.end()
  }, Number(searchParams.get('interval') ?? 5))
  response.on('close', () => clearInterval(timer))
}).listen(Number(process.env['PORT']), '127.0.0.1')
