// Process 1 of the combined container: starts the workload and the proxy, passes signals on, and ends when either ends.
// Confidential Space runs one container to a VM, so both have to be in it.
import { spawn } from 'node:child_process'

const start = (args, options) => spawn(process.execPath, args, { stdio: 'inherit', ...options })

// The launcher's socket and token file belong to root, and the proxy needs them. The workload is another user, so that
// it can neither ask the launcher for tokens nor look into the memory of the proxy. It gets no setting of the proxy,
// and listens on the loopback interface only.
if (process.getuid() !== 0) {
  console.error('start: this image has to run as root, so that the workload can run as another user (USER 0:0)')
  process.exit(1)
}
const workload = start(['--disable-sigusr1', 'server.mjs'], {
  cwd: '/workload', uid: 65532, gid: 65532, env: { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: '3001' }
})
const proxy = start(
  ['--disable-sigusr1', '--max-semi-space-size=2', '--heap-growing-percent=400', 'server.ts'], { cwd: '/app' }
)

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
