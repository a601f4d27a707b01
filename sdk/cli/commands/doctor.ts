/** polaris doctor URL: finds out why it does not work, from the name to a request all the way. */
import { Command, Option } from 'commander'
import { styleText } from 'node:util'
import manifest from '../../package.json' with { type: 'json' }
import { parseAttestationPolicy } from '../../attestation/policy.ts'
import { networkReason } from '../../network-error.ts'
import { parseUrl, readPolicy } from '../appraise.ts'
import type { AppraiseOptions } from '../appraise.ts'
import { checkConnection, checkEnvironment, checkName, checkTls } from '../doctor/connection.ts'
import { findings } from '../doctor/finding.ts'
import type { Finding, Outcome, Patient } from '../doctor/finding.ts'
import {
  checkAttestation, checkCors, checkExchange, checkKeys, checkRequestStreaming, checkResponseStreaming, encryptedFetch
} from '../doctor/protocol.ts'
import { checkIdentity, checkReadiness } from '../doctor/server.ts'
import { openNetwork, withNetworkOptions } from '../network/network.ts'
import type { NetworkOptions } from '../network/network.ts'
import { COULD_NOT_ASK, REFUSED, UsageError, VERIFIED } from '../status.ts'
import { json } from '../terminal/render.ts'
import { parseSeconds } from '../values.ts'

interface DoctorOptions extends AppraiseOptions, NetworkOptions {
  readonly origin?: string
  readonly stream?: string
  readonly json?: true
  readonly maxTime: number
}

export function doctorCommand (): Command {
  return withNetworkOptions(new Command('doctor')
    .description('Finds out why a proxy does not work for you: name, connection, certificate, who answers, clocks, ' +
      'keys, proof, a request all the way; each with what to do.')
    .argument('<url>', 'base URL of the proxy')
    .option('-p, --policy <file>', 'what to accept as proof')
    .option('--development', 'without a policy: accept simulated evidence')
    .option('--origin <origin>', 'of a page: may it use the proxy (CORS)?')
    .option('--stream <path>', 'of the workload, sends piece by piece: does something in front hold responses back?')
    .addOption(new Option(
      '-m, --max-time <seconds>', 'for each check'
    ).argParser(parseSeconds('--max-time')).default(10_000, '10'))
    .option('--json', 'print the findings as JSON'))
    .addHelpText('after', `
Exit status:
  ${VERIFIED}  all is well, but for warnings
  ${REFUSED}  there is a problem
  ${COULD_NOT_ASK}  wrong usage

Examples:
  $ polaris doctor https://proxy.example.com --policy policy.json
  $ polaris doctor https://proxy.example.com --origin https://app.example.com --stream /events
`)
    .action(run)
}

async function run (text: string, options: DoctorOptions): Promise<void> {
  const url = parseUrl(text)
  if (url.username + url.password + url.search + url.hash !== '') {
    throw new UsageError('the base URL of a proxy has neither credentials nor a query')
  }
  if (options.origin !== undefined && URL.parse(options.origin)?.origin !== options.origin) {
    throw new UsageError(`not an origin, such as https://app.example.com: ${options.origin}`)
  }
  const policy = options.policy === undefined ? undefined : parseAttestationPolicy(await readPolicy(options.policy))
  const patient: Patient = { url, network: await openNetwork(options), timeout: options.maxTime }

  const found: Finding[] = []
  for await (const finding of examine(patient, options, policy)) {
    found.push(finding)
    if (!options.json) process.stdout.write(render(finding))
  }
  const problems = found.filter(({ outcome }) => outcome === 'problem').length
  process.stdout.write(
    options.json ? json({ url: url.href, ok: problems === 0, findings: found }) : `${summary(problems, found)}\n`
  )
  process.exitCode = problems === 0 ? VERIFIED : REFUSED
}

/** In the order in which a request meets them; what cannot work after a failure is not asked. */
async function * examine (
  patient: Patient, options: DoctorOptions, policy: ReturnType<typeof parseAttestationPolicy> | undefined
): AsyncGenerator<Finding, void, void> {
  yield * checkEnvironment(patient)
  const { finding, addresses } = await checkName(patient)
  yield finding
  yield await checkConnection(patient, addresses)
  yield await checkTls(patient, addresses)
  const { findings: identity, isOurs } = await checkIdentity(patient, manifest.version)
  yield * identity
  if (!isOurs) return
  yield await guarded('readiness', () => checkReadiness(patient))
  yield await guarded('keys', () => checkKeys(patient))
  yield await guarded('attestation', () => checkAttestation(patient, options))
  const { origin, stream } = options
  if (origin !== undefined) yield await guarded('cors', () => checkCors(patient, origin))
  yield await guarded('request-streaming', () => checkRequestStreaming(patient))
  const polarisFetch = encryptedFetch(patient, policy)
  yield await checkExchange(polarisFetch, patient.timeout)
  if (stream !== undefined) yield await checkResponseStreaming(polarisFetch, stream)
}

async function guarded (name: string, check: () => Promise<Finding>): Promise<Finding> {
  try {
    return await check()
  } catch (error) {
    return findings(name).problem(
      `No answer: ${networkReason(error) ?? (error instanceof Error ? error.message : 'unknown error')}`,
      'Something on the way breaks connections off: see the findings above'
    )
  }
}

const STYLES: Record<Outcome, { readonly mark: string, readonly colour: 'green' | 'red' | 'yellow' | 'dim' }> = {
  ok: { mark: '✓', colour: 'green' },
  problem: { mark: '✗', colour: 'red' },
  warning: { mark: '!', colour: 'yellow' },
  skipped: { mark: '–', colour: 'dim' }
}

function render ({ name, outcome, detail, advice }: Finding): string {
  const { mark, colour } = STYLES[outcome]
  const stream = process.stdout
  return `${styleText(
    colour, mark, { stream }
  )} ${name.padEnd(18)}  ${detail}\n${advice === undefined ? '' : `  ${' '.repeat(18)}  → ${advice}\n`}`
}

function summary (problems: number, found: readonly Finding[]): string {
  const warnings = found.filter(({ outcome }) => outcome === 'warning').length
  const stream = process.stdout
  if (problems > 0) return styleText('red', `${problems} problem${problems === 1 ? '' : 's'}`, { stream })
  return styleText(
    'green', warnings === 0 ? 'all is well' : `it works; ${warnings} warning${warnings === 1 ? '' : 's'}`, { stream }
  )
}
