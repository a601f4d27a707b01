// The container's health check: exits 0 where the proxy in this container says
// that it is alive, 1 where it does not, or not in time. The image has neither
// a shell nor curl, so this is a Node script.
import { get } from 'node:http'
import { get as getOverTls } from 'node:https'

const { PORT: port = '3000', POLARIS_CONTAINER_TLS_PORT: tlsPort = '8443' } = process.env
const path = '/polaris-container/livez'

// With an agent of its own, which knows of no forward proxy that the environment may name.
const options = { agent: false, signal: AbortSignal.timeout(2_500) } as const
const call = port === 'off'
  ? getOverTls(`https://127.0.0.1:${tlsPort}${path}`, { ...options, rejectUnauthorized: false })
  : get(`http://127.0.0.1:${port}${path}`, options)
call.on('response', response => {
  process.exitCode = response.statusCode === 200 ? 0 : 1
  response.destroy()
})
// An alert is an answer: of a proxy that wants a certificate, or has no evidence for its key yet.
call.on('error', ({ message }) => {
  process.exitCode = /SSL alert number \d/.test(message) ? 0 : 1
})
