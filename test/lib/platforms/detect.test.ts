/** What this machine can attest with is found by what is there. */
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import t from 'tap'
import { configFrom } from '../../../lib/config/config.ts'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { attesterTypeFrom } from '../../../lib/platforms/choose.ts'
import { LAUNCHER_SOCKET } from '../../../lib/platforms/google/settings.ts'
import { TSM_REPORTS } from '../../../lib/platforms/linux/settings.ts'
import { builtIn } from '../../../lib/platforms/registry.ts'

t.test('the most specific platform wins', async t => {
  const folder = t.testdir({ context: {}, file: '', nothing: {}, tsm: {}, launcher: {}, files: {} })
  const at = (...names: string[]) => join(folder, ...names)
  for (const root of ['tsm', 'launcher']) mkdirSync(at(root, TSM_REPORTS), { recursive: true })
  for (const path of [LAUNCHER_SOCKET, TSM_REPORTS]) {
    mkdirSync(dirname(at('files', path)), { recursive: true })
    writeFileSync(at('files', path), '')
  }
  mkdirSync(dirname(at('launcher', LAUNCHER_SOCKET)), { recursive: true })
  // Relative: the path of a socket must not be long.
  process.chdir(dirname(at('launcher', LAUNCHER_SOCKET)))
  const server = createServer().listen('teeserver.sock')
  await once(server, 'listening')
  t.teardown(() => server.close())

  const context = { UVM_SECURITY_CONTEXT_DIR: at('context') }
  const found = async (root: string, env: Record<string, string> = {}, input: ConfigInput = {}) => {
    const config = configFrom({ workloadBaseUrl: 'http://127.0.0.1:9', ...input })
    return (await attesterTypeFrom(config, builtIn, { root: at(root), env }))?.name
  }
  t.equal(await found('nothing'), 'none')
  t.equal(await found('tsm'), 'configfs-tsm')
  t.equal(await found('tsm', context), 'azure-snp')
  t.equal(await found('tsm', context, { attestationMaaEndpoint: 'maa.example' }), 'azure-maa')
  t.equal(await found('launcher', context), 'google-confidential-space')
  t.equal(await found('files', { UVM_SECURITY_CONTEXT_DIR: at('file') }), 'none', 'files are not what is looked for')
  t.equal(await found('launcher', context, { attestationType: 'none' }), 'none', 'what is named is not looked for')
})
