// docs/local-proxy.md lists every problem and option of polaris proxy, and no others.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { proxyCommand } from '../../../sdk/proxy/command.ts'
import { problemTypes } from '../../../sdk/proxy/exchange/problems.ts'

const text = readFileSync(new URL('../../../docs/local-proxy.md', import.meta.url), 'utf8')

t.test('problems', async t => {
  const listed = [...text.matchAll(/^\| `([a-z-]+)` \| (\d{3}) \|/gm)].map(([, code, status]) => [code, Number(status)])
  t.same(listed, Object.entries(problemTypes).map(([code, { status }]) => [code, status]))
})

t.test('options', async t => {
  for (const { long } of proxyCommand().options) t.ok(text.includes(String(long)), String(long))
})
