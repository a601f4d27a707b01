// In Confidential Space an operator can give the settings that the image's launch policy names, and no others.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { settings } from '../../lib/settings.ts'
import type { Setting } from '../../lib/settings.ts'

/** Each of them weakens a protection that is on by default. Whoever needs one builds an image that says so. */
const withheld = new Set(['POLARIS_CONTAINER_UPSTREAM_TLS_VERIFY', 'POLARIS_CONTAINER_V1_ALLOW_UNBOUND_RESPONSE_KEY'])

const dockerfile = readFileSync(new URL('../../docker/Dockerfile', import.meta.url), 'utf8')
const policy = (name: string) => new RegExp(`tee\\.launch_policy\\.${name}="([^"]*)"`).exec(dockerfile)?.[1]

t.test('the operator may give every setting but those that weaken a default protection', async t => {
  const names = Object.values<Setting>(settings).flatMap(({ env, aliases = [] }) => [env, ...aliases])
  for (const name of withheld) t.ok(names.includes(name), `${name} exists`)
  t.equal(policy('allow_env_override'), names.filter(name => !withheld.has(name)).sort().join(','))
})

t.test('nothing that Node reads from the environment can be given, nor another command', async t => {
  t.notMatch(policy('allow_env_override'), /\bNODE_|LD_|\bPATH\b/)
  t.equal(policy('allow_cmd_override'), 'false')
})
