/** docs/operations.md explains every line that the log can hold. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { configFrom } from '../../lib/config/config.ts'
import { weaknesses } from '../../lib/config/weaknesses.ts'
import { read } from '../fixtures/documents.ts'
import { root } from '../fixtures/script.ts'

const explained = read('docs/operations.md')

const sources = ['lib', 'plugins', 'routes']
  .flatMap(directory => readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' }).map(path => join(directory, path)))
  .filter(path => path.endsWith('.ts'))

for (const source of ['server.ts', ...sources]) {
  const [, ...calls] = read(source).split(/\blog\.(?:info|warn|error|fatal)\(/)
  for (const call of calls) {
    const [line = ''] = call.split('\n')
    const [, message] = /'([^']+)'\)/.exec(line) ?? []
    // Other messages are made elsewhere, and follow a pattern that the table has.
    if (message !== undefined) t.ok(explained.includes(`\`${message}\``), `${source}: ${message}`)
  }
}

t.test('every weakness that is warned of', async t => {
  const weak = [
    { enableInputEncryption: false, enableOutputEncryption: true },
    { v1AllowUnboundResponseKey: true },
    { workloadTlsVerify: false },
    { enableInputEncryption: true, v1ReplayProtection: false },
    { keyType: 'file', keyFile: '/key.pem', hpkeSeed: 'sealed', hpkeSeedFile: '/shared/seed', replayStore: 'redis://localhost' }
  ].flatMap(settings => weaknesses(configFrom({ workloadBaseUrl: 'https://localhost', ...settings })))
  t.ok(weak.length >= 5)
  for (const { sentence } of weak) t.ok(explained.includes(sentence.replace(/ \(.*/, '')), sentence)
})
