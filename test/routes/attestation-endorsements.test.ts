// Files of POLARIS_CONTAINER_ATTESTATION_ENDORSEMENTS are handed out with the evidence, and followed when they change.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ConfigError } from '../../lib/config/config.ts'
import { simulated } from '../../lib/platforms/local/simulated-evidence.ts'
import { parseAttestationDocument } from '../../lib/protocols/attestation.ts'
import { fetchAttestation } from '../../sdk/attestation/index.ts'
import { startProxy } from '../fixtures/proxy.ts'

const workloadBaseUrl = 'http://127.0.0.1:9'
const bundle = (name: string) => JSON.stringify({ mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json', name })

t.test('clients get them as they are now', async t => {
  const folder = t.testdir({ 'a.json': bundle('a'), 'b.json': bundle('b') })
  const attestationEndorsements = ['a.json', ' b.json'].map(
    name => name.replace(/\S+/, path => join(folder, path))
  ).join(',')
  const proxy = await startProxy(t, { workloadBaseUrl, attestationEndorsements }, { attester: await simulated() })
  const names = async () => parseAttestationDocument((await fetchAttestation(proxy.url)).document).endorsements.map(
    ([, value]) => JSON.parse(value).name
  )
  t.same(await names(), ['a', 'b'])
  await writeFile(join(folder, 'b.json'), bundle('of the next release'))
  t.same(await names(), ['a', 'of the next release'])
  await writeFile(join(folder, 'b.json'), 'nothing')
  t.same(await names(), ['a', 'of the next release'])
  t.match(proxy.log.join(''), /endorsements cannot be read again; those read before stay in use/)
})

t.test('a file that is missing at start is named', async t => {
  await t.rejects(startProxy(
    t, { workloadBaseUrl, attestationEndorsements: '/no/such/bundle.json' }, { attester: await simulated() }
  ), {
    constructor: ConfigError,
    message: /POLARIS_CONTAINER_ATTESTATION_ENDORSEMENTS: \/no\/such\/bundle\.json cannot be read \(ENOENT\)/
  })
})
