// Process 1 of the combined container: starts the workload and the proxy, passes signals on, and ends when either ends.
// Confidential Space runs one container to a VM, so both have to be in it.
import { spawn } from 'node:child_process'

const start = (args, cwd, env) => spawn(process.execPath, args, { cwd, env, stdio: 'inherit' })

// The workload gets no setting of the proxy, and listens where only the proxy is.
const workload = start(['server.mjs'], '/workload', { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: '3001' })
const proxy = start(['--max-semi-space-size=2', '--heap-growing-percent=400', 'server.ts'], '/app', process.env)

let stopping = false
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    stopping = true
    // The workload is needed until the last exchange has finished.
    proxy.kill(signal)
  })
}
proxy.once('exit', code => {
  process.exitCode = code ?? 1
  workload.kill()
})
workload.once('exit', () => {
  if (stopping || proxy.exitCode !== null) return
  // Without its workload the proxy is of no use: let the VM's restart policy begin again.
  process.exitCode = 1
  proxy.kill()
})
