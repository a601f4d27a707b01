/** Settings of the TLS listener that are not accepted, each by itself or together. */
import t from 'tap'
import { ConfigError, configFrom } from '../../../lib/config/config.ts'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { weaknesses } from '../../../lib/config/weaknesses.ts'

const base: ConfigInput = { workloadBaseUrl: 'http://localhost:3001' }
const acme: ConfigInput = { tls: 'acme', tlsNames: 'a.example', tlsAcmeDirectory: 'https://ca.example/dir' }

function problemOf (input: ConfigInput): string {
  try {
    configFrom({ ...base, ...input })
    return ''
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.join('\n')
  }
}

t.test('what contradicts itself is refused, with the variables to change', async t => {
  for (const [input, problem] of [
    [{ port: 'off' }, /^PORT cannot be off if POLARIS_CONTAINER_TLS is: nothing would listen$/],
    [{ port: 'off', tls: 'attested' }, /^$/],
    [{ tls: 'files' }, /TLS_CERT_FILE is required if POLARIS_CONTAINER_TLS is files\n.*TLS_KEY_FILE is required/],
    [{ tls: 'files', tlsCertFile: '/c', tlsKeyFile: '/k' }, /^$/],
    [{ tls: 'attested', port: 8443 }, /^POLARIS_CONTAINER_TLS_PORT must not be the port of PORT$/],
    [{ port: 8443 }, /^$/],
    [{ tls: 'attested', port: 0, tlsPort: 0 }, /^$/],
    [{ tls: 'attested', adminAddress: '127.0.0.1:8443' }, /^POLARIS_CONTAINER_ADMIN_ADDRESS must not have the port of P/],
    [{ adminAddress: '127.0.0.1:8443' }, /^$/],
    [{ adminAddress: '127.0.0.1:3000' }, /must not have the port of PORT$/],
    [{ tls: 'attested', tlsRotation: '1h' }, /^POLARIS_CONTAINER_TLS_OVERLAP must be shorter than POLARIS_CONTAINER_TLS_R/],
    [{ tlsRotation: '500ms' }, /TLS_ROTATION has a value that is not accepted/],
    [{ tlsRotation: '25d' }, /TLS_ROTATION has a value that is not accepted/],
    [{ tlsMinVersion: '1.1' }, /accepted: 1.2, 1.3$/],
    [{ tls: 'on' }, /accepted: off, attested, files, acme/],
    [{ tls: 'acme' }, /TLS_ACME_DIRECTORY is required if POLARIS_CONTAINER_TLS is acme\n.*TLS_NAMES is required if/],
    [{ ...acme }, /^$/],
    [{ ...acme, port: 'off' }, /^$/],
    [{ ...acme, tlsRotation: '1h' }, /^$/],
    [{ ...acme, tlsNames: 'a.example,*.a.example' }, /^POLARIS_CONTAINER_TLS_NAMES must be without wildcards/],
    [{ ...acme, tlsAcmeChallenge: 'http-01', port: 'off' }, /^PORT cannot be off if .*CHALLENGE is http-01/],
    [{ ...acme, tlsAcmeEabKeyId: 'kid' }, /EAB_KEY_ID and .*EAB_KEY_FILE are set both, or neither$/],
    [{ ...acme, tlsAcmeEabKeyId: 'kid', tlsAcmeEabKeyFile: '/k' }, /^$/],
    [{ ...acme, tlsAcmeDirectory: 'http://ca.example/dir' }, /TLS_ACME_DIRECTORY has a value that is not accepted/],
    [{ ...acme, tlsAcmeDirectory: 'https://u:p@ca.example/' }, /TLS_ACME_DIRECTORY has a value that is not accepted/],
    [{ ...acme, tlsAcmeEmail: 'a b@example.com' }, /TLS_ACME_EMAIL has a value/],
    [{ ...acme, tlsAcmeEmail: 'a@example.com,b@example.com' }, /TLS_ACME_EMAIL has a value/],
    [{ ...acme, tlsAcmeProfile: 'a b' }, /TLS_ACME_PROFILE has a value/]
  ] as const) t.match(problemOf(input as ConfigInput), problem, JSON.stringify(input))
})

t.test('ports and names', async t => {
  for (const port of ['65536', '-1', '1e3', 'on', 'OFF', '123456']) t.match(problemOf({ port }), 'PORT has', port)
  t.equal(configFrom({ ...base, port: '4000' }).port, 4000)
  t.equal(configFrom(base).port, 3000)
  t.equal(configFrom({ ...base, port: 'off', tls: 'attested' }).port, 'off')
  for (const tlsNames of ['a.example', 'A.Example', '*.a.example', '192.0.2.7,::1', 'a , b']) {
    t.equal(problemOf({ tlsNames }), '', tlsNames)
  }
  for (const tlsNames of ['a..b', '*', '*.*.a', 'a.*', '-a', 'a_b', 'a b', 'a,', `${'a.'.repeat(127)}ab`, 'ä.example']) {
    t.match(problemOf({ tlsNames }), 'TLS_NAMES has', tlsNames)
  }
})

t.test('a key from files that counts is a weakness', async t => {
  const codes = (input: ConfigInput) => weaknesses(configFrom({
    ...base, tls: 'files', tlsCertFile: '/c', tlsKeyFile: '/k', ...input
  })).map(({ code }) => code)
  t.notOk(codes({ enableInputEncryption: true }).includes('tls-key-from-files'))
  t.ok(codes({ enableInputEncryption: true, tlsFilesSuffice: true }).includes('tls-key-from-files'))
})
