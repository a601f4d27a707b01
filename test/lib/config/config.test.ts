/** Settings are read and checked all at once, and no message repeats a value. */
import t from 'tap'
import { ConfigError, configFrom, loadConfig } from '../../../lib/config/config.ts'
import { settings } from '../../../lib/config/settings.ts'
import type { Setting } from '../../../lib/config/settings.ts'
import { unknownVariables } from '../../../lib/config/unknown.ts'
import { protections, weaknesses } from '../../../lib/config/weaknesses.ts'
import { trustedProxies } from '../../../lib/http/trusted-proxies.ts'

const P = 'POLARIS_CONTAINER_'
const base = { [`${P}WORKLOAD_BASE_URL`]: 'http://localhost:3001' }

/** The problems of an environment. */
function problems (env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

t.test('the defaults are those of the original, and safe where it had none', async t => {
  t.match(loadConfig(base), {
    workloadBaseUrl: 'http://localhost:3001',
    port: 3000,
    host: undefined,
    enableInputEncryption: false,
    enableOutputEncryption: false,
    keyType: 'ephemeral',
    urlHeader: 'polaris-url',
    secureHeader: 'polaris-secure',
    responsePublicKeyHeader: 'polaris-response-public-key',
    contextRoot: '',
    enableCors: true,
    corsOrigin: '*',
    enableLogging: true,
    logLevel: 'info',
    enableV1: true,
    v1AllowUnboundResponseKey: false,
    maxBodyBytes: 67_108_864,
    workloadHeadersTimeout: 300_000,
    workloadTlsVerify: true,
    trustProxy: 'false'
  })
})

t.test('every problem is told at once, with what is accepted, and never with the value', async t => {
  const secret = 'hunter2'
  const found = problems({
    PORT: `${secret}`,
    [`${P}ENABLE_INPUT_ENCRYPTION`]: secret,
    [`${P}WORKLOAD_HEADERS_TIMEOUT`]: secret,
    [`${P}LOG_LEVEL`]: secret,
    [`${P}TRUST_PROXY`]: secret,
    [`${P}URL_HEADER_KEY`]: 'same',
    [`${P}HEADER_KEY`]: 'SAME',
    [`${P}MAX_BUFFERED_BYTES`]: '1048576'
  })
  t.equal(found.length, 8, found.join('\n'))
  for (const name of [
    'PORT', `${P}ENABLE_INPUT_ENCRYPTION`, `${P}WORKLOAD_HEADERS_TIMEOUT`, `${P}LOG_LEVEL`, `${P}TRUST_PROXY`
  ]) {
    const problem = found.find(text => text.startsWith(`${name} `))
    t.match(problem, /has a value that is not accepted; accepted: ./, name)
  }
  t.ok(
    found.some(text => text.startsWith(`${P}WORKLOAD_BASE_URL is required but not set; accepted: an absolute http://`))
  )
  t.ok(found.some(text => text.endsWith('must name three different headers')))
  t.ok(found.some(text => text === `${P}MAX_BUFFERED_BYTES must not be smaller than ${P}MAX_BODY_BYTES`))
  t.notMatch(found.join('\n'), secret)
})

const refused: Array<[string, string[]]> = [
  [
    `${P}WORKLOAD_BASE_URL`,
    ['localhost:3001', 'ftp://h', 'http://', 'http://user:pass@h', 'http://h?q', 'http://h?', 'http://h/#f', 'x']
  ],
  ['PORT', ['-1', '65536', '3000.5', 'http', 'NaN', 'Infinity', '0x10', '1e3', '+1']],
  [`${P}ENABLE_OUTPUT_ENCRYPTION`, ['yes', 'TRUE', '2', 'on']],
  [`${P}WORKLOAD_IDLE_TIMEOUT`, ['30 s', '-1s', '1w', 's', '1.5s', '25d', '1e3']],
  [`${P}URL_HEADER_KEY`, ['a b', 'a:b', 'ä', 'x'.repeat(65)]],
  [`${P}CONTEXT_ROOT`, ['/a/../b', '/..', '/a?b', '/a b', '/a//b', '%2f']],
  [`${P}TRUST_PROXY`, ['maybe', '10.0.0.0/33', '::1/129', '10.0.0', '10.0.0.0/8/8', '10.0.0.1,', '10.0.0.0/']],
  [`${P}CORS_ORIGIN`, ['example.com', 'https://example.com/', 'https://a.example, *', 'null']],
  [`${P}KEY_TYPE`, ['rsa', 'EPHEMERAL']],
  [`${P}LOG_LEVEL`, ['verbose', 'INFO']],
  [`${P}MAX_BODY_BYTES`, ['-1', '1.5', '64MB']],
  [`${P}MAX_PENDING_UNWRAPS`, ['0', '1000001']]
]
for (const [name, values] of refused) {
  t.test(`${name} refuses what it cannot mean`, async t => {
    for (const value of values) {
      const found = problems({ ...base, [name]: value })
      t.equal(found.length, 1, `${value}: ${found.join()}`)
      t.ok(found[0]?.startsWith(name))
    }
  })
}

const accepted: Array<[string, keyof typeof settings, Array<[string, unknown]>]> = [
  [
    `${P}WORKLOAD_BASE_URL`, 'workloadBaseUrl',
    [['https://h/base/', 'https://h/base/'], ['http://[::1]:80', 'http://[::1]:80']]
  ],
  ['PORT', 'port', [['0', 0], ['65535', 65535]]],
  [`${P}ENABLE_INPUT_ENCRYPTION`, 'enableInputEncryption', [['true', true], ['false', false]]],
  [`${P}WORKLOAD_IDLE_TIMEOUT`, 'workloadIdleTimeout', [
    ['1000', 1000], ['500ms', 500], ['30s', 30_000], ['5m', 300_000], ['24h', 86_400_000], ['7d', 604_800_000], ['0', 0]
  ]],
  [
    `${P}CONTEXT_ROOT`, 'contextRoot',
    [['/proxy', '/proxy'], ['proxy', '/proxy'], ['/proxy/', '/proxy'], ['/', ''], ['/a/b', '/a/b'], ['/a..b', '/a..b']]
  ],
  [`${P}HEADER_KEY`, 'secureHeader', [['X-Secure', 'x-secure']]],
  [`${P}RESPONSE_PUBLIC_KEY_HEADER_KEY`, 'responsePublicKeyHeader', [['X-Key', 'x-key']]],
  [`${P}TRUST_PROXY`, 'trustProxy', [['true', 'true'], ['10.0.0.0/8, ::1', '10.0.0.0/8, ::1']]],
  [
    `${P}CORS_ORIGIN`, 'corsOrigin',
    [['https://a.example, http://localhost:3000', 'https://a.example, http://localhost:3000']]
  ]
]
for (const [name, setting, values] of accepted) {
  t.test(`${name} is read in every form it is documented in`, async t => {
    for (const [text, value] of values) t.equal(loadConfig({ ...base, [name]: text })[setting], value, text)
  })
}

t.test('a variable set to nothing counts as not set', async t => {
  t.equal(loadConfig({ ...base, PORT: '' }).port, 3000)
  t.throws(() => loadConfig({ [`${P}WORKLOAD_BASE_URL`]: '' }), ConfigError)
})

t.test('the configuration is frozen', async t => {
  t.ok(Object.isFrozen(loadConfig(base)))
})

t.test('aliases are read where the name itself is absent', async t => {
  const values: Record<string, readonly [string, string]> = {
    'http-url': ['http://first.example', 'http://second.example'],
    duration: ['7ms', '8ms'],
    integer: ['7', '8'],
    boolean: ['true', 'false'],
    string: ['first', 'second']
  }
  for (const [name, { env, aliases = [], format, type }] of Object.entries<Setting>(settings)) {
    const [first, second] = values[format ?? type] ?? ['', '']
    for (const alias of aliases) {
      const read = (given: Record<string, string>) =>
        String(
          (loadConfig({ ...base, ...given }) as Record<string, unknown>)[name]
        ) + (format === 'duration' ? 'ms' : '')
      t.equal(read({ [alias]: first }), first, alias)
      t.equal(read({ [alias]: first, [env]: second }), second, `${env} goes first`)
    }
  }
})

t.test('settings from code are checked as those of the environment, which is not read', async t => {
  const config = configFrom({ workloadBaseUrl: 'http://h', workloadIdleTimeout: '2s', stopDelay: 5, enableV1: false })
  t.match(config, { workloadIdleTimeout: 2000, stopDelay: 5, enableV1: false })
  t.throws(
    () => configFrom({ workloadBaseUrl: 'http://h', ...{ workloadbaseurl: 'x' } }),
    { message: /workloadbaseurl: no such setting/ }
  )
  t.throws(() => configFrom({}), { code: 'ERR_CONFIG' })
})

t.test('so many keys that their ids would repeat are not kept', async t => {
  const shared = {
    ...base,
    [`${P}KEY_TYPE`]: 'file',
    [`${P}KEY_FILE`]: '/keys.pem',
    [`${P}HPKE_SEED`]: 'derived',
    [`${P}HPKE_ROTATION`]: '10s',
    [`${P}REPLAY_STORE`]: 'redis://127.0.0.1'
  }
  t.ok(loadConfig({ ...shared, [`${P}HPKE_RETIREMENT`]: '1000s' }))
  t.throws(
    () => loadConfig({ ...shared, [`${P}HPKE_RETIREMENT`]: '1001s' }),
    { message: /HPKE_RETIREMENT must not be longer than 100 times/ }
  )
  t.throws(
    () => loadConfig({ ...base, [`${P}HPKE_ROTATION`]: '10s', [`${P}HPKE_RETIREMENT`]: '1d' }), { code: 'ERR_CONFIG' }
  )
})

t.test('an unknown variable is told with the nearest known name, and without its value', async t => {
  const warnings = unknownVariables({ ...base, [`${P}ENABLE_INPUT_ENCRYPTON`]: 'hunter2', PATH: '/bin', PORTS: '1' })
  t.same(warnings, [`${P}ENABLE_INPUT_ENCRYPTON is not a setting; did you mean ${P}ENABLE_INPUT_ENCRYPTION?`])
  t.same(unknownVariables({ [`${P}PORT`]: '3000' }), [`${P}PORT is not a setting; did you mean PORT?`])
})

t.test('where a setting is missing, a misspelt one is told beside it', async t => {
  t.throws(() => loadConfig({ [`${P}WORKLOAD_URL`]: 'http://hunter2' }), {
    message: /- POLARIS_CONTAINER_WORKLOAD_BASE_URL is required.*\n.*- POLARIS_CONTAINER_WORKLOAD_URL is not a setting; did you mean POLARIS_CONTAINER_WORKLOAD_BASE_URL\?$/
  })
})

t.test('every weak setting in force is named, and none of a strict configuration', async t => {
  const strict = { ...base, [`${P}ENABLE_INPUT_ENCRYPTION`]: 'true', [`${P}ENABLE_OUTPUT_ENCRYPTION`]: 'true' }
  t.same(weaknesses(loadConfig(strict)), [])
  const cases: Array<[Record<string, string>, RegExp]> = [
    [base, /Plaintext requests are accepted/],
    [{ ...base, [`${P}ENABLE_OUTPUT_ENCRYPTION`]: 'true' }, /sealed to keys that no one authenticated/],
    [{ ...strict, [`${P}V1_ALLOW_UNBOUND_RESPONSE_KEY`]: 'true' }, /Unbound response keys are accepted/],
    [
      { ...strict, [`${P}WORKLOAD_BASE_URL`]: 'https://h', [`${P}WORKLOAD_TLS_VERIFY`]: 'false' },
      /certificate is not verified/
    ]
  ]
  for (const [env, pattern] of cases) {
    t.match(weaknesses(loadConfig(env)).map(({ sentence }) => sentence).join('\n'), pattern)
  }
  t.match(
    protections(loadConfig(strict)),
    { input: 'encryption required', output: 'always sealed', v1: true, keys: 'ephemeral', workloadTls: 'none' }
  )
  t.match(
    protections(loadConfig({ ...base, [`${P}WORKLOAD_BASE_URL`]: 'https://h' })),
    { input: 'plaintext accepted', workloadTls: 'verified' }
  )
})

t.test('trusted proxies are everyone, no one, or the listed ranges', async t => {
  t.ok(trustedProxies('true')('203.0.113.7'))
  t.notOk(trustedProxies('false')('127.0.0.1'))
  const listed = trustedProxies('10.0.0.0/8, 192.0.2.1, fd00::/8')
  for (const address of ['10.1.2.3', '192.0.2.1', 'fd00::1', '::ffff:10.1.2.3']) t.ok(listed(address), address)
  for (const address of ['11.0.0.1', '192.0.2.2', '::1', 'garbage', undefined]) {
    t.notOk(listed(address), String(address))
  }
})
