// The container's health check: exits 0 where the proxy in this container says
// that it is alive, 1 where it does not, or not in time. The image has neither
// a shell nor curl, so this is a Node script.
import { get } from 'node:http'

const port = process.env['PORT'] ?? '3000'

// With an agent of its own, which knows of no forward proxy that the environment may name.
const call = get(
  `http://127.0.0.1:${port}/polaris-container/livez`, { agent: false, signal: AbortSignal.timeout(2_500) }
)
call.on('response', response => {
  process.exitCode = response.statusCode === 200 ? 0 : 1
  response.destroy()
})
call.on('error', () => { process.exitCode = 1 })
