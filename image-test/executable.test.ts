// The one file that npm run executable makes for arm64: built on this machine, and used under emulation.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ARCHITECTURES, buildExecutable } from '../scripts/executable.ts'
import { send, startChain, runLocalProxy } from '../test/fixtures/local-proxy.ts'
import { readImage, unpack } from './fixtures/layout.ts'

t.setTimeout(600_000)
const architecture = ARCHITECTURES.find(name => name !== process.arch) ?? 'x64'
const file = join(t.testdir(), 'polaris')
await buildExecutable(file, architecture)
// Of the image, whose libraries are those that the file needs.
const words = ['qemu-aarch64-static', '-L', unpack(t, readImage('ARM64')), file]
const env = { PATH: process.env['PATH'] }

function polaris (...args: string[]): Promise<{ status: unknown, stdout: string, stderr: string }> {
  const [emulator = '', ...before] = words
  return new Promise(resolve => {
    execFile(
      emulator, [...before, ...args], { env },
      (error, stdout, stderr) => resolve({ status: error ? error.code : 0, stdout, stderr })
    )
  })
}

t.test('it is for arm64, and says its version', {
  skip: architecture === 'arm64' ? false : 'this machine is one'
}, async t => {
  // ELF: the machine's number, EM_AARCH64.
  t.equal(readFileSync(file).readUInt16LE(18), 183)
  const { version } = JSON.parse(
    readFileSync(new URL('../sdk/package.json', import.meta.url), 'utf8')
  ) as { version: string }
  t.same(await polaris('--version'), { status: 0, stdout: `${version}\n`, stderr: '' })

  t.test('verify, fetch and proxy', async t => {
    const { proxy, policy } = await startChain(t)
    t.match(await polaris('verify', proxy.url, '--policy', policy), { status: 0, stdout: /verified: simulated\n$/ })
    t.match(
      await polaris('fetch', `${proxy.url}/x`, '--policy', policy, '--data', 'body'),
      { status: 0, stdout: /"url":"\/x"/ }
    )
    const local = await runLocalProxy(t, [proxy.url, '--policy', policy], { words, env })
    t.match(await send(`${local.url}/x`, { method: 'POST', body: 'body' }), { status: 200, body: /"url":"\/x"/ })
    local.child.kill('SIGTERM')
    t.equal(await local.exit, 0)
  })
})
