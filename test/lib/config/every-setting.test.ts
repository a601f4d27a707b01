/**
 * Every setting with a wrong value, nothing, a value in quotes, and white space around it: refused by name with the
 * reason, not set, refused by name with the reason, and the same as without.
 */
import t from 'tap'
import { ConfigError, loadConfig } from '../../../lib/config/config.ts'
import { settings } from '../../../lib/config/settings.ts'
import type { Setting } from '../../../lib/config/settings.ts'

/** One setting is required; and rules about several are not what is looked at here. */
const base: Readonly<Record<string, string>> = {
  POLARIS_CONTAINER_KEY_TYPE: 'file',
  POLARIS_CONTAINER_ATTESTATION_DEVICES: 'http://localhost:8090/evidence',
  POLARIS_CONTAINER_KEY_FILE: '/keys.pem',
  POLARIS_CONTAINER_MAX_BODY_BYTES: '1024',
  POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://localhost:3001',
  POLARIS_CONTAINER_REPLAY_STORE: 'redis://localhost:6379',
  POLARIS_CONTAINER_HPKE_ROTATION: '24h',
  POLARIS_CONTAINER_HPKE_RETIREMENT: '1h'
}

/** Other values of the formats than the default. */
const examples: Readonly<Record<string, string>> = {
  'http-url': 'http://192.0.2.7:8080',
  'workload-url': 'h2c://192.0.2.7:50051',
  duration: '7m',
  'device-source': '/usr/bin/nvattest collect-evidence --nonce {nonce}',
  milliseconds: '7000',
  'replay-window': '7s',
  'header-name': 'x-other',
  'path-prefix': '/other',
  'trust-proxy': '192.0.2.0/24',
  authorities: 'a.example, b.example:8443',
  padding: '64',
  shaping: '100ms,256',
  'replay-store': 'rediss://user:pass@redis.example:6380/1',
  sha256: 'ab'.repeat(32),
  'key-versions': '2, 1',
  workers: '2',
  'cors-origin': 'https://app.example',
  address: '::1',
  'listen-address': '[::1]:9464',
  audience: 'other',
  port: '4000',
  'tls-names': 'a.example, *.b.example, 192.0.2.7',
  'tls-rotation': '2d',
  'acme-directory': 'https://ca.example/directory',
  'acme-name': 'short',
  email: 'operator@example.com'
}

/** A value that is accepted; of texts, any. */
function valueOf ({ enum: choices, type, format, minimum, default: usual }: Setting): string {
  if (choices !== undefined) return choices.find(choice => choice !== usual) ?? ''
  if (type === 'boolean') return String(usual !== true)
  if (type === 'integer') return String(minimum ?? 0)
  return format === undefined ? 'text' : examples[format] ?? ''
}

interface Read {
  readonly config?: Readonly<Record<string, unknown>>
  readonly problems: readonly string[]
}

function load (env: Readonly<Record<string, string>>): Read {
  try {
    return { config: { ...loadConfig(env) }, problems: [] }
  } catch (error) {
    if (error instanceof ConfigError) return { problems: error.problems }
    throw error
  }
}

const read = (env: Record<string, string>) => load({ ...base, ...env })

/** With all of the base but this. */
const readWithout = (env: string) => load(Object.fromEntries(Object.entries(base).filter(([name]) => name !== env)))

/** What other settings say to this value does not count: only problems that begin with the variable. */
const about = (env: string, problems: readonly string[]) => problems.filter(problem => problem.startsWith(`${env} `))

for (const setting of Object.values<Setting>(settings)) {
  for (const env of [setting.env, ...setting.aliases ?? []]) {
    t.test(env, async t => {
      const value = valueOf(setting)
      t.not(value, '', 'the test knows a value')
      const plain = read({ [env]: value })
      t.same(about(env, plain.problems), [], 'an accepted value')

      for (const spaced of [`${value}\n`, `\t ${value}\r\n`]) {
        t.same(read({ [env]: spaced }), plain, `white space does not count: ${JSON.stringify(spaced)}`)
      }
      for (const quoted of [`'${value}'`, ` "${value}"\n`]) {
        t.match(
          about(env, read({ [env]: quoted }).problems), [/is in quotes, which are part of its value here/], quoted
        )
      }
      for (const empty of ['', ' \n']) {
        if (setting.required) t.match(read({ [env]: empty }).problems, [/is required but not set/])
        else t.same(read({ [env]: empty }), readWithout(env), 'nothing is the same as not set')
      }
      if (setting.type !== 'string' || setting.enum !== undefined || setting.format !== undefined) {
        const wrong = setting.format === 'audience' ? 'https://sts.googleapis.com' : '\u0000 hunter2 ?'
        const [problem = ''] = about(env, read({ [env]: wrong }).problems)
        t.match(problem, /has a value that is not accepted.*; accepted: /)
        t.notMatch(problem, /hunter2/)
      }
    })
  }
}

t.test('values that cannot work are refused with the reason', async t => {
  const cases: ReadonlyArray<readonly [name: string, value: string, reason: RegExp]> = [
    ['POLARIS_CONTAINER_CORS_ORIGIN', 'https://*.example.com', /patterns are not supported, list each origin/],
    ['POLARIS_CONTAINER_REPLAY_WINDOW', '60', /no client's clock is that close/],
    ['POLARIS_CONTAINER_REPLAY_WINDOW', '60ms', /no client's clock is that close/],
    ['POLARIS_CONTAINER_WORKLOAD_HEADERS_TIMEOUT', '30', /without a unit these are milliseconds/],
    ['POLARIS_CONTAINER_UPSTREAM_HEADERS_TIMEOUT', '30', /without a unit these are milliseconds/],
    ['POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION', 'TRUE', /it must be in lower case/],
    ['POLARIS_CONTAINER_KEY_TYPE', 'File', /it must be in lower case/],
    ['POLARIS_CONTAINER_REPLAY_STORE', 'redis://', /accepted: memory, or a redis/],
    ['POLARIS_CONTAINER_REPLAY_STORE', 'localhost:6379', /accepted: memory, or a redis/],
    ['HOST', '300.1.2.3', /accepted: an IP address/],
    ['HOST', 'http://localhost', /accepted: an IP address/]
  ]
  for (const [name, value, reason] of cases) {
    t.match(about(name, read({ [name]: value }).problems), [reason], `${name}=${value}`)
  }
})

t.test('an address may be in the brackets of a URL', async t => {
  t.equal(read({ HOST: '[::1]' }).config?.['host'], '::1')
})
