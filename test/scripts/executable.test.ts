// The one file that npm run executable makes: the command, on a machine without Node.
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { buildExecutable } from '../../scripts/executable.ts'
import { send, startChain, runLocalProxy } from '../fixtures/local-proxy.ts'

t.setTimeout(240_000)
const folder = mkdtempSync(join(tmpdir(), 'polaris-'))
t.teardown(() => { rmSync(folder, { recursive: true }) })
const file = join(folder, 'polaris')
const first = await buildExecutable(file)
const env = { PATH: '/nonexistent' }
const { proxy, policy } = await startChain(t)

function polaris (...args: string[]): Promise<{ status: unknown, stdout: string, stderr: string }> {
  return new Promise(resolve => {
    execFile(
      file, args, { env }, (error, stdout, stderr) => resolve({ status: error ? error.code : 0, stdout, stderr })
    )
  })
}

t.test('it knows its version', async t => {
  const { version } = JSON.parse(
    readFileSync(new URL('../../sdk/package.json', import.meta.url), 'utf8')
  ) as { version: string }
  t.same(await polaris('--version'), { status: 0, stdout: `${version}\n`, stderr: '' })
})

t.test('verify', async t => {
  t.match(
    await polaris('verify', proxy.url, '--policy', policy), { status: 0, stdout: /verified: simulated\n$/, stderr: '' }
  )
  t.match(await polaris('verify', proxy.url), { status: 1, stdout: /✗ platform/ })
})

t.test('fetch', async t => {
  const { status, stdout, stderr } = await polaris('fetch', `${proxy.url}/x`, '--policy', policy, '--data', 'body')
  t.same([status, stderr], [0, ''])
  t.match(JSON.parse(stdout), { method: 'POST', url: '/x', body: Buffer.from('body').toString('base64') })
  t.match(await polaris('fetch', proxy.url), { status: 2, stdout: '' })
})

t.test('proxy', async t => {
  const local = await runLocalProxy(t, [proxy.url, '--policy', policy], { words: [file], env })
  t.match(await send(`${local.url}/x`, { method: 'POST', body: 'body' }), { status: 200, body: /"url":"\/x"/ })
  local.child.kill('SIGTERM')
  t.equal(await local.exit, 0)
})

t.test('the same sources give the same bytes, wherever it is built', async t => {
  t.equal(await buildExecutable(join(folder, 'elsewhere')), first)
})
