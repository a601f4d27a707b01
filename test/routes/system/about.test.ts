/** The proxy says what it is: version, commit, Node, protocols and keys, and nothing else. */
import t from 'tap'
import { read } from '../../fixtures/documents.ts'
import { startServer } from '../../fixtures/process.ts'
import { startProxy } from '../../fixtures/proxy.ts'

const { version } = JSON.parse(read('package.json')) as { version: string }
const node = process.versions.node
const workloadBaseUrl = 'http://127.0.0.1:9'
const commit = '0123456789abcdef0123456789abcdef01234567'

async function about (url: string): Promise<unknown> {
  return (await fetch(`${url}/polaris-container/about`)).json()
}

const cases: [config: object, said: object][] = [
  [{}, { protocols: ['ohttp', 'polaris-v1'], keyType: 'ephemeral', kems: ['X25519'] }],
  [{ hpkePostQuantum: true, enableV1: false }, { protocols: ['ohttp'], kems: ['MLKEM768-X25519', 'X25519'] }],
  [{ enableOhttp: false }, { protocols: ['polaris-v1'], keyType: 'ephemeral' }]
]
for (const [config, said] of cases) {
  t.test(`with ${JSON.stringify(config)}`, async t => {
    const { url } = await startProxy(t, { workloadBaseUrl, ...config })
    t.strictSame(await about(url), { version, commit: 'unknown', node, ...said })
  })
}

t.test('the commit is the one that the image has, and nothing that is no commit', async t => {
  const said: [POLARIS_COMMIT: string, commit: string][] = [
    [commit, commit], ['unknown', 'unknown'], ['<script>', 'unknown']
  ]
  for (const [POLARIS_COMMIT, expected] of said) {
    const { url } = await startServer(t, { POLARIS_CONTAINER_WORKLOAD_BASE_URL: workloadBaseUrl, POLARIS_COMMIT })
    t.match(await about(url), { commit: expected })
  }
})
