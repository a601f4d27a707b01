/** Nobody gets tokens out of libraries by starting the proxy with their debug variables. */
import t from 'tap'
import { quietEnvironment } from '../../../lib/config/quiet-environment.ts'
import { run } from '../../fixtures/process.ts'

const loud = {
  AZURE_LOG_LEVEL: 'verbose',
  DEBUG: '*',
  GOOGLE_SDK_NODE_LOGGING: '*',
  GRPC_NODE_TRACE: 'all',
  GRPC_NODE_VERBOSITY: 'DEBUG',
  GRPC_TRACE: 'all',
  GRPC_VERBOSITY: 'DEBUG'
}
const POLARIS_CONTAINER_WORKLOAD_BASE_URL = 'http://127.0.0.1:9'

t.test('the variables are removed and named, others are left', t => {
  const env = { ...loud, PATH: '/bin', GRPC_SSL_CIPHER_SUITES: 'x' }
  t.same(quietEnvironment(env), { removed: Object.keys(loud), nodeDebugs: false })
  t.same(env, { PATH: '/bin', GRPC_SSL_CIPHER_SUITES: 'x' })
  t.same(quietEnvironment(env), { removed: [], nodeDebugs: false })
  t.end()
})

t.test('NODE_DEBUG is told, and not handed on', t => {
  const env: Record<string, string> = { NODE_DEBUG: 'http' }
  t.same(quietEnvironment(env), { removed: [], nodeDebugs: true })
  t.same(env, {})
  t.same(quietEnvironment({ NODE_DEBUG: '' }), { removed: [], nodeDebugs: false })
  t.end()
})

t.test('server.ts ignores them before a library reads them, and warns', async t => {
  // Without its variables the credential says at once that they are missing, and with AZURE_LOG_LEVEL more than that.
  const started = run(t, ['server.ts'], {
    ...loud,
    POLARIS_CONTAINER_WORKLOAD_BASE_URL,
    POLARIS_CONTAINER_KEY_TYPE: 'azure-key-vault',
    POLARIS_CONTAINER_AZURE_KEY_VAULT_URL: 'https://127.0.0.1:9',
    POLARIS_CONTAINER_AZURE_KEY_VAULT_KEY: 'k',
    POLARIS_CONTAINER_AZURE_KEY_VAULT_MODE: 'remote',
    POLARIS_CONTAINER_AZURE_CREDENTIAL: 'workload-identity'
  })
  t.match(JSON.parse(await started.line(/"ignoring variables/)), { level: 40, variables: Object.keys(loud) })
  t.match(await started.line(/"stopping after an unexpected error"/), 'CredentialUnavailableError')
  await started.exit
  t.equal(started.stderr(), '')
})

t.test('server.ts warns of NODE_DEBUG, once however many processes serve', async t => {
  const started = run(
    t, ['server.ts'],
    { PORT: '0', POLARIS_CONTAINER_WORKLOAD_BASE_URL, POLARIS_CONTAINER_WORKERS: '2', NODE_DEBUG: 'nothing' }
  )
  await started.line(/keys ready/)
  t.equal(started.lines.filter(
    line => /"NODE_DEBUG is set: Node writes parts of opened requests to standard error"/.test(line)
  ).length, 1)
})
