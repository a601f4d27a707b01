/**
 * What TLS that ends in the proxy costs: `node bench/tls.ts [--rounds 5]`. Echoes of 1 KiB on connections that are
 * kept alive: unencrypted, over TLS, in OHTTP, and over TLS to nginx (left out if it is not installed). All servers
 * share one core and take turns; load and workload have the others. Medians of the rounds.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { selfSignedCertificate } from '../lib/tls/certificate.ts'
import { load, prepareRequest } from './load.ts'
import { prepareOhttp } from './ohttp-request.ts'
import { nginx, proxy, start } from './peers/programs.ts'
import type { CertificateFiles, Running } from './peers/programs.ts'
import { freePort, leaveTheCore, startServer } from './processes.ts'

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } })
const ROUNDS = Number(options.rounds)
const CONNECTIONS = 8
const [REQUESTS, WARM_UP] = [4_000, 40_000]
const BODY = randomBytes(1024)

interface Subject {
  readonly name: string
  readonly server: Running
  readonly url: string
  readonly isSealed?: boolean
  readonly figures: number[]
}

leaveTheCore()
const folder = mkdtempSync(join(tmpdir(), 'polaris-bench-tls-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const files = writeCertificate()
const workload = await startServer('bench/workload.ts', '/', {}, 'others')
const subjects: Subject[] = []
try {
  // One for each: what one server compiles for one protocol makes another slower.
  for (const name of ['passthrough', 'OHTTP', 'chunked OHTTP'] as const) {
    const server = await start(proxy, workload.url)
    subjects.push({ name, server, url: server.url, isSealed: name !== 'passthrough', figures: [] })
  }
  const port = await freePort()
  const tls = await start(
    { ...proxy, env: (...where) => ({ ...proxy.env?.(...where), ...tlsEnvironment(port) }) }, workload.url
  )
  subjects.splice(1, 0, { name: 'passthrough over TLS', server: tls, url: `https://127.0.0.1:${port}`, figures: [] })
  const program = nginx(files)
  if (typeof program === 'string') console.log(`nginx is left out: ${program}`)
  else {
    const server = await start(program, workload.url)
    subjects.push({ name: 'nginx over TLS', server, url: server.url.replace('http:', 'https:'), figures: [] })
  }
  for (const subject of subjects) {
    for (let sent = 0; sent < WARM_UP; sent += REQUESTS) await measure(subject)
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const subject of subjects) subject.figures.push(await measure(subject))
  }
  console.log(`Node ${process.version}, 1 KiB, ${CONNECTIONS} connections, medians of ${ROUNDS} rounds.\n`)
  console.log('| server | CPU µs/request | × passthrough |\n| --- | ---: | ---: |')
  const base = middle(subjects[0]?.figures ?? [])
  for (const { name, figures } of subjects) {
    console.log(`| ${name} | ${middle(figures).toFixed(0)} | ${(middle(figures) / base).toFixed(2)} |`)
  }
} finally {
  await Promise.all([...subjects.map(({ server }) => server.stop()), workload.stop()])
}

function writeCertificate (): CertificateFiles {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const [notBefore, notAfter] = [new Date(), new Date(Date.now() + 86_400_000)]
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  writeFileSync(cert, selfSignedCertificate({ key: privateKey, names: ['localhost'], notBefore, notAfter }))
  writeFileSync(key, privateKey.export({ format: 'pem', type: 'pkcs8' }))
  return { cert, key }
}

function tlsEnvironment (port: number): Record<string, string> {
  return {
    POLARIS_CONTAINER_TLS: 'files',
    POLARIS_CONTAINER_TLS_PORT: String(port),
    POLARIS_CONTAINER_TLS_CERT_FILE: files.cert,
    POLARIS_CONTAINER_TLS_KEY_FILE: files.key
  }
}

/** CPU microseconds of a request. */
async function measure ({ name, server, url, isSealed = false }: Subject): Promise<number> {
  const plain = prepareRequest('/echo?q=1', { 'content-type': 'application/octet-stream' }, BODY)
  const sealed = isSealed ? await prepareOhttp(url, BODY, REQUESTS, name === 'chunked OHTTP') : []
  await server.reset()
  await load(url, CONNECTIONS, REQUESTS, i => sealed[i] ?? plain)
  return (await server.read()).cpu / REQUESTS
}

function middle (figures: readonly number[]): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? NaN
}
