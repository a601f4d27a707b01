// In Confidential Space an operator can give the settings that the image's launch policy names, and no others. Whoever
// pins the digest relies on what is not in the list.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { settings } from '../../lib/config/settings.ts'
import type { Setting } from '../../lib/config/settings.ts'

const policy = (file: string, name: string) =>
  new RegExp(`tee\\.launch_policy\\.${name}="([^"]*)"`).exec(
    readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
  )?.[1] ?? ''

const allowed = policy('docker/Dockerfile', 'allow_env_override').split(',')
const names = new Set(Object.values<Setting>(settings).flatMap(({ env, aliases = [] }) => [env, ...aliases]))

t.test('the operator may give settings that exist, once each, in order', async t => {
  t.same(allowed.filter(name => !names.has(name)), [])
  t.same(allowed, [...new Set(allowed)].sort())
})

t.test('none of them decides who can read what, or what clients are assured of', async t => {
  const decisive =
    /WORKLOAD_BASE_URL|TLS|ENCRYPTION|ENABLE_(?:V1|OHTTP)|V1_|_KEY|HPKE|SEED|REPLAY|AUTHORITIES|PADDING|TRUST|ATTESTATION|AZURE|GOOGLE|CREDENTIAL|TOKEN|FILE/
  t.same(allowed.filter(name => decisive.test(name)), [])
})

t.test('nothing that Node reads from the environment can be given, nor another command', async t => {
  t.same(allowed.filter(name => !/^(?:POLARIS_CONTAINER_\w+|HOST|PORT)$/.test(name)), [])
  t.equal(policy('docker/Dockerfile', 'allow_cmd_override'), 'false')
})

t.test('the combined image of the example allows no more', async t => {
  t.equal(policy('examples/confidential-space/Dockerfile', 'allow_env_override'), '$' + '{ALLOW_ENV_OVERRIDE}')
  const [, list = ''] = /^ARG ALLOW_ENV_OVERRIDE=(\S+)$/m.exec(
    readFileSync(new URL('../../examples/confidential-space/Dockerfile', import.meta.url), 'utf8')
  ) ?? []
  t.same(list.split(',').filter(name => !allowed.includes(name)), [])
})
