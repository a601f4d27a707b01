/** The TLS listener as testssl.sh finds it: nothing to complain about, but who signed. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import type { Test } from 'tap'
import { startProxy } from '../test/fixtures/proxy.ts'
import { servingTls } from '../test/fixtures/tls.ts'
import { startWorkload } from '../test/fixtures/workload.ts'
import { missing, temporaryFolder } from './fixtures/peers.ts'

const run = promisify(execFile)

interface Finding {
  readonly id: string
  readonly severity: string
  readonly finding: string
}

/**
 * The certificate signs itself, is for pinning, and has no one to ask about its revocation. That OpenSSL has no GOST is
 * about this machine.
 */
const BY_DESIGN = new Set([
  'engine_problem', 'cert_chain_of_trust', 'cert_trust', 'cert_revocation', 'cert_ocspRevoked', 'cert_crlRevoked',
  'cert_notAfter', 'cert_expirationStatus', 'overall_grade', 'grade_cap_reason_1', 'grade_cap_reason_2',
  'DNS_CAArecord', 'certificate_transparency', 'cert_caIssuers', 'HSTS', 'HSTS_time', 'cert_trust_wildcard'
])
const HARMLESS = new Set(['OK', 'INFO'])

async function start (t: Test) {
  const workload = await startWorkload(t)
  return await servingTls(await startProxy(
    t, { workloadBaseUrl: workload.url, tls: 'attested', tlsPort: 0, tlsNames: 'localhost,127.0.0.1' }
  ))
}

t.test('testssl.sh finds nothing to complain about', {
  skip: missing('testssl', '--help'), timeout: 600_000
}, async t => {
  const port = await start(t)
  const file = join(temporaryFolder(t), 'findings.json')
  // Its exit code counts findings of all kinds.
  await run('testssl', [
    '--quiet', '--warnings', 'batch', '--color', '0', '--fast', '--protocols', '--server-defaults',
    '--server-preference', '--vulnerable', '--fs', '--jsonfile', file, `127.0.0.1:${port}`
  ], { timeout: 500_000, maxBuffer: 2 ** 26 }).catch((error: NodeJS.ErrnoException) => error)
  const findings = JSON.parse(readFileSync(file, 'utf8')) as Finding[]
  t.ok(findings.length > 20, `${findings.length} findings`)
  const bad = findings.filter(({ id, severity }) => !HARMLESS.has(severity) && !BY_DESIGN.has(id.split(' ')[0] ?? ''))
  t.same(bad.map(({ id, severity, finding }) => `${id}: ${severity}: ${finding}`), [])
  const of = (wanted: string) => findings.find(({ id }) => id === wanted)?.finding
  t.match(of('TLS1_3'), 'offered')
  for (const old of ['SSLv2', 'SSLv3', 'TLS1', 'TLS1_1', 'TLS1_2']) t.match(of(old), 'not offered', old)
})
