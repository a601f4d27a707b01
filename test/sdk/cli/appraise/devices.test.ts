// polaris appraise nvidia and sigstore, run as a process on the recordings in ../shared, with the time set back.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { NO_GPU_RECORDING, gpuRecording } from '../../../fixtures/nvidia.ts'
import { polaris } from '../../../fixtures/polaris-cli.ts'

t.setTimeout(300_000)
const folder = t.testdir({})
function file (name: string, content: unknown): string {
  const path = join(folder, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

const recording = gpuRecording()
t.test('eight recorded GPUs', recording ? {} : { skip: NO_GPU_RECORDING }, async t => {
  if (!recording) return
  const files = [
    '--evidence', file('request.json', recording.request), '--answer', file('answer.json', recording.answer), '--keys',
    file('jwks.json', recording.keySet)
  ]
  const at = ['--at', recording.when.toISOString()]
  const passed = await polaris(['appraise', 'nvidia', ...files, ...at, '--nonce', recording.request.nonce, '--json'])
  t.equal(passed.status, 0)
  t.match(JSON.parse(passed.stdout), { verified: true, tee: 'nvidia' })
  t.equal((await polaris(['appraise', 'nvidia', ...files, ...at])).status, 0, 'the nonce of the file')
  t.equal((await polaris(['appraise', 'nvidia', ...files.slice(0, 2), ...at])).status, 0, 'evidence alone')
  t.equal(
    (await polaris(['appraise', 'nvidia', ...files, '--at', '2026-06-11T00:00:00Z'])).status, 1, 'an expired token'
  )
  t.equal(
    (await polaris(['appraise', 'nvidia', ...files, ...at, '--nonce', '00'.repeat(32)])).status, 1, 'another nonce'
  )
  const policy = file(
    'policy.json', { version: 1, insecure: true, platforms: { tdx: {} }, devices: { nvidia: { count: 7 } } }
  )
  const refused = await polaris(['appraise', 'nvidia', ...files, ...at, '--policy', policy])
  t.equal(refused.status, 1)
  t.match(refused.stdout, /gpu-count/)
  t.equal((await polaris(['appraise', 'nvidia', ...files.slice(0, 4), ...at])).status, 2, 'an answer without keys')
})

const cases = new URL('../../../../../shared/vectors/sigstore/', import.meta.url)
t.test('a recorded bundle', existsSync(cases) ? {} : { skip: '../shared/vectors/sigstore is absent' }, async t => {
  const input = JSON.parse(readFileSync(new URL('001-happy-path-snp-tdx-multiplatform/input.json', cases), 'utf8'))
  const decoded = (text: string) => Buffer.from(text, 'base64').toString()
  const words = [
    'appraise', 'sigstore', '--bundle', file('bundle.json', decoded(input.bundle_b64)),
    '--trusted-root', file('root.json', decoded(input.trust_root_b64)),
    '--at', new Date(input.verification_time_unix * 1000).toISOString()
  ]
  const digest = ['--digest', `sha256:${input.expected_digest_sha256_hex}`]
  const passed = await polaris([
    ...words, ...digest, '--repository', input.repo, '--predicate-type', input.policy.predicate_types_allowed[0],
    '--json'
  ])
  t.equal(passed.status, 0)
  t.match(JSON.parse(passed.stdout), { verified: true, tee: 'sigstore' })
  t.equal((await polaris([...words, ...digest, '--repository', 'owner/other'])).status, 1)
  t.equal((await polaris([...words, ...digest, '--repository', input.repo, '--ref-prefix', 'refs/heads/'])).status, 1)
  t.equal((await polaris([...words, '--digest', 'sha256:' + '00'.repeat(32), '--repository', input.repo])).status, 1)
  t.equal((await polaris([...words, '--digest', '00', '--repository', input.repo])).status, 2)
})
