// What this machine can attest with is found by what is there.
import { createServer } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { detectAttester } from '../../../lib/platforms/detect.ts'

t.test('the most specific platform wins', async t => {
  const folder = t.testdir({ tsm: {}, context: {}, file: '' })
  const launcherSocket = join(folder, 's')
  const server = createServer().listen(launcherSocket)
  await once(server, 'listening')
  t.teardown(() => server.close())
  const at = (name: string) => join(folder, name)
  const nothing = { launcherSocket: at('missing'), azureSecurityContext: undefined, tsmReports: at('missing') }

  t.equal(await detectAttester(nothing), 'none')
  t.equal(await detectAttester({ ...nothing, tsmReports: at('tsm') }), 'configfs-tsm')
  t.equal(await detectAttester({ ...nothing, tsmReports: at('tsm'), azureSecurityContext: at('context') }), 'azure-snp')
  t.equal(await detectAttester({ ...nothing, tsmReports: at('tsm'), azureSecurityContext: at('context'), hasMaaEndpoint: true }), 'azure-maa')
  t.equal(await detectAttester({ launcherSocket, tsmReports: at('tsm'), azureSecurityContext: at('context') }), 'google-confidential-space')
  t.equal(await detectAttester({ ...nothing, launcherSocket: at('file'), azureSecurityContext: at('file'), tsmReports: at('file') }), 'none', 'files are not what is looked for')
})
