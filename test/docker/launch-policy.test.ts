// In Confidential Space an operator can give the settings that the image's launch policy names, and no others. Whoever
// pins the digest relies on what is not in the list.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { settings } from '../../lib/settings.ts'
import type { Setting } from '../../lib/settings.ts'

/** Each of them could divert requests or weaken their protection. They are set in an image that is made from this one. */
const withheld = new Set([
  'ENABLE_INPUT_ENCRYPTION', 'ENABLE_OUTPUT_ENCRYPTION', 'REPLAY_CAPACITY', 'REPLAY_STORE', 'REPLAY_WINDOW',
  'UPSTREAM_TLS_VERIFY', 'V1_ALLOW_UNBOUND_RESPONSE_KEY', 'WORKLOAD_BASE_URL'
].map(name => `POLARIS_CONTAINER_${name}`))

const policy = (file: string, name: string) =>
  new RegExp(`tee\\.launch_policy\\.${name}="([^"]*)"`).exec(readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8'))?.[1] ?? ''

const allowed = policy('docker/Dockerfile', 'allow_env_override').split(',')
const names = Object.values<Setting>(settings).flatMap(({ env, aliases = [] }) => [env, ...aliases])

t.test('every setting is either one that the operator may give or one that is withheld', async t => {
  t.same(allowed.filter(name => !names.includes(name)), [], 'no setting that does not exist')
  t.same([...withheld].filter(name => !names.includes(name)), [], 'nothing withheld that does not exist')
  t.same(allowed.filter(name => withheld.has(name)), [])
  t.same(names.filter(name => !withheld.has(name) && !allowed.includes(name)), [], 'each is decided: add it to docker/Dockerfile, or withhold it')
})

t.test('nothing that Node reads from the environment can be given, nor another command', async t => {
  t.same(allowed.filter(name => !/^(?:POLARIS_CONTAINER_\w+|HOST|PORT)$/.test(name)), [])
  t.equal(policy('docker/Dockerfile', 'allow_cmd_override'), 'false')
})

t.test('the combined image of the example allows less', async t => {
  const list = policy('examples/confidential-space/Dockerfile', 'allow_env_override').split(',')
  t.same(list.filter(name => !allowed.includes(name)), [])
})
