/** Runs a Python program through the local proxy, and watches the wire. Exits 0 if everything holds. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import fastify from 'fastify'
import polaris from '../../app.ts'
import { simulated } from '../../lib/platforms/local/simulated-evidence.ts'
import { serverOptions } from '../../plugins/server/options.ts'
import { startWire } from '../demo/wire.ts'
import { API_KEY, startWorkload } from '../openai/workload.ts'

const workload = await startWorkload()
const attester = await simulated()
const app = fastify({ ...serverOptions, logger: false })
await app.register(polaris, {
  attester,
  config: { workloadBaseUrl: workload.url, enableInputEncryption: true, enableOutputEncryption: true }
})
const wire = await startWire(await app.listen({ host: '127.0.0.1', port: 0 }))

const folder = mkdtempSync(join(tmpdir(), 'polaris-'))
const policy = join(folder, 'policy.json')
writeFileSync(
  policy, JSON.stringify({ version: 1, development: true, platforms: { simulated: { roots: [attester.root] } } })
)
const cli = join(import.meta.dirname, '../../sdk/cli/main.ts')
const proxy = spawn(process.execPath, [cli, 'proxy', wire.url, '--policy', policy, '--listen', '127.0.0.1:0'], {
  stdio: ['ignore', 'inherit', 'pipe']
})

function claim (what: string, holds: boolean): void {
  console.log(`${holds ? '✓' : '✗'} ${what}`)
  if (!holds) process.exitCode = 1
}

try {
  let said = ''
  for await (const piece of proxy.stderr) {
    said += String(piece)
    if (said.includes('OPENAI_BASE_URL')) break
  }
  const base = /OPENAI_BASE_URL=(\S+)/.exec(said)?.[1] ?? ''
  claim(`polaris proxy verified the proxy and listens: ${base}`, /verified: simulated/.test(said))
  const { stdout } = await promisify(execFile)('python3', [join(import.meta.dirname, 'program.py')], {
    env: { PATH: process.env['PATH'], OPENAI_BASE_URL: base, OPENAI_API_KEY: API_KEY }
  })
  claim(`the Python program got its answer: ${stdout.trim()}`, stdout.includes('my secret'))
  const { fromClient, fromProxy } = wire.take()
  const seen = Buffer.concat([fromClient, fromProxy]).toString('latin1')
  claim('the wire saw one URL', seen.includes('POST /.well-known/ohttp-gateway'))
  claim(
    'the wire saw neither question nor answer, credential or path', !/my secret|Bearer|chat\/completions/.test(seen)
  )
} finally {
  proxy.kill('SIGTERM')
  if (proxy.exitCode === null) await once(proxy, 'exit')
  rmSync(folder, { recursive: true })
  await wire.close()
  app.server.closeAllConnections()
  await app.close()
  await workload.close()
}
