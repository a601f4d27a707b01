// The container's health check: exits 0 where the proxy in this container says
// that it is alive, 1 where it does not, or not in time. The image has neither
// a shell nor curl, so this is a Node script.

const port = process.env['PORT'] ?? '3000'

try {
  const response = await fetch(`http://127.0.0.1:${port}/polaris-container/livez`, {
    redirect: 'error',
    signal: AbortSignal.timeout(2_500)
  })
  process.exitCode = response.status === 200 ? 0 : 1
} catch {
  process.exitCode = 1
}
