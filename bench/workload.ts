/** The workload of the measurements: sends back what it gets. */
import { createServer } from 'node:http'

createServer((request, response) => {
  response.setHeader('content-type', request.headers['content-type'] ?? 'application/octet-stream')
  const { 'content-length': length } = request.headers
  if (length !== undefined) response.setHeader('content-length', length)
  request.pipe(response)
}).listen(Number(process.env['PORT']), '127.0.0.1')
