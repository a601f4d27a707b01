/** polaris fetch URL: one encrypted request, to keys that the proxy proved. */
import { setTimeout } from 'node:timers/promises'
import { Command } from 'commander'
import type { Verdict } from '../../attestation/checks.ts'
import { AttestationFetchError } from '../../attestation/http.ts'
import { parseAttestationPolicy } from '../../attestation/policy.ts'
import { createPolarisFetch } from '../../fetch/index.ts'
import { PolarisFetchError } from '../../fetch/errors.ts'
import type { PolarisFetchOptions } from '../../fetch/options.ts'
import { parseUrl, readPolicy } from '../appraise.ts'
import { openNetwork } from '../network/network.ts'
import type { Network } from '../network/network.ts'
import { explainFrom } from '../network/explain.ts'
import { readProvenance } from '../provenance.ts'
import type { DataPart } from '../request/data.ts'
import { withFetchOptions } from '../request/options.ts'
import type { FetchOptions } from '../request/options.ts'
import { prepareRequest } from '../request/prepare.ts'
import type { PreparedRequest } from '../request/prepare.ts'
import { report } from '../report.ts'
import { COULD_NOT_ASK, HTTP_ERROR, REFUSED, UsageError, VERIFIED } from '../status.ts'
import { isBrokenPipe, writeResponse } from '../terminal/output.ts'
import { json } from '../terminal/render.ts'
import { createNarrator } from '../terminal/verbose.ts'
import { checkFormat, writeOut } from '../terminal/write-out.ts'
import type { Transfer } from '../terminal/write-out.ts'

export function fetchCommand (): Command {
  const parts: DataPart[] = []
  const command = new Command('fetch')
    .description('Makes one encrypted request, after the proxy has proven its keys, and writes the response to ' +
      'standard output as it arrives. Options are those of curl, as far as they apply.')
    .argument('<url>', 'what to request')
  return withFetchOptions(command, parts)
    .addHelpText('after', `
Exit status:
  ${VERIFIED}  the workload answered, and all of its answer is authentic
  ${REFUSED}  refused: the proxy does not prove its keys, or the answer is not authentic or not complete
  ${COULD_NOT_ASK}  could not complete it: no answer, no usable policy, wrong usage, no space
  ${HTTP_ERROR} with --fail: the workload answered with a status of 400 or more

Examples:
  $ polaris fetch https://proxy.example.com/records?patient=4711 --policy policy.json
  $ polaris fetch https://proxy.example.com/v1/chat -p policy.json -H 'content-type: application/json' -d @question.json
  $ polaris fetch https://proxy.example.com/import -p policy.json -F file=@scan.pdf -F patient=4711
  $ tar c data | polaris fetch https://proxy.example.com/import -p policy.json -T - -o receipt.json
  $ polaris fetch http://localhost:3000/ --insecure --include
`)
    .action((url: string, options: FetchOptions) => run(url, options, parts))
}

async function run (url: string, options: FetchOptions, parts: readonly DataPart[]): Promise<void> {
  if (options.writeOut !== undefined) checkFormat(options.writeOut)
  const transfer: Transfer = {
    url,
    method: '',
    status: 0,
    headers: new Headers(),
    uploaded: 0,
    downloaded: 0,
    redirected: false,
    effectiveUrl: url,
    exitCode: 0,
    error: '',
    startedAt: performance.now(),
    answeredAt: undefined
  }
  const network = await openNetwork(options)
  try {
    transfer.exitCode = await exchange(url, options, parts, network, transfer)
  } catch (error) {
    // The reader has had enough.
    if (isBrokenPipe(error)) return
    if (error instanceof UsageError && options.writeOut === undefined) throw error
    const { status, text, code, message } = report(timedOut(error, options))
    const advice = explainFrom(error, process.env, new URL(url))
    if (options.silent !== true || options.showError === true) process.stderr.write(text + advice)
    if (options.json) process.stdout.write(json({ error: { code, message } }))
    Object.assign(transfer, { exitCode: status, error: message })
  }
  if (options.writeOut !== undefined) process.stdout.write(writeOut(options.writeOut, transfer))
  process.exitCode = transfer.exitCode
}

function timedOut (error: unknown, { maxTime }: FetchOptions): unknown {
  const isTimeout = error instanceof DOMException && error.name === 'TimeoutError'
  return isTimeout && maxTime !== undefined ? new UsageError(`not done within --max-time, ${maxTime / 1000} s`) : error
}

async function exchange (
  url: string, options: FetchOptions, parts: readonly DataPart[], network: Network, transfer: Transfer
): Promise<number> {
  const narrator = createNarrator(options.verbose ? process.stderr : undefined)
  const polarisFetch = await makeFetch(
    url, options, network, verdict => narrator.verified(verdict), narrator.watch(network.fetch)
  )
  const signal = options.maxTime === undefined ? undefined : AbortSignal.timeout(options.maxTime)
  const response =
    await send(polarisFetch, () => prepareRequest(url, options, parts), options.retry, signal, request => {
      Object.assign(
        transfer, { method: request.init.method.toUpperCase(), uploaded: request.length, effectiveUrl: request.url }
      )
    })
  Object.assign(transfer, {
    status: response.status,
    headers: response.headers,
    redirected: response.redirected,
    answeredAt: performance.now(),
    ...response.url !== '' && { effectiveUrl: response.url }
  })
  narrator.answered(response)
  const failed = options.fail === true && response.status >= 400
  if (options.json) {
    transfer.downloaded = await writeJson(response)
  } else {
    transfer.downloaded = await writeResponse(response, {
      file: options.output === '-' ? undefined : options.output,
      head: options.include === true || options.head === true,
      body: !failed,
      terminal: process.stderr.isTTY && options.silent !== true ? process.stderr : undefined
    })
  }
  narrator.done(transfer)
  if (failed && options.silent !== true) {
    process.stderr.write(`polaris: the workload answered with status ${response.status}\n`)
  }
  return failed ? HTTP_ERROR : VERIFIED
}

/** Tries again only if nothing can have reached the workload. */
async function send (
  polarisFetch: typeof fetch, prepare: () => Promise<PreparedRequest>, retries: number, signal: AbortSignal | undefined,
  onRequest: (request: PreparedRequest) => void
): Promise<Response> {
  for (let attempt = 0; ; attempt++) {
    const request = await prepare()
    onRequest(request)
    try {
      return await polarisFetch(request.url, { ...request.init, ...signal && { signal } })
    } catch (error) {
      const nothingSent = error instanceof AttestationFetchError ||
        (error instanceof PolarisFetchError && error.nothingSent && error.code !== 'ERR_POLARIS_OTHER_ORIGIN')
      if (!nothingSent || request.once || attempt === retries) throw error
    }
    await setTimeout(
      Math.min(2 ** attempt, 60) * 1000, undefined, signal && { signal }
    ).catch(() => signal?.throwIfAborted())
  }
}

async function makeFetch (
  url: string, options: FetchOptions, { fetch: plain }: Network, onVerdict: (verdict: Verdict) => void,
  fetch: typeof plain
): Promise<typeof plain> {
  const { origin } = parseUrl(url)
  const baseURL = options.base ?? origin
  parseUrl(baseURL)
  const proof = await proofFor(options, onVerdict, plain)
  const { clock } = options
  if (clock === 'gateway' && proof.attestation === undefined) {
    throw new UsageError('--clock gateway needs --policy: nothing else vouches for the proxy\'s time')
  }
  try {
    return createPolarisFetch({ baseURL, fetch, ...proof, clock })
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new UsageError(error.message.replace(/\bbaseURL\b/g, options.base === undefined ? 'the URL' : '--base'))
  }
}

async function proofFor (
  options: FetchOptions, onVerdict: (verdict: Verdict) => void, fetch: typeof globalThis.fetch
): Promise<Pick<PolarisFetchOptions, 'attestation'>> {
  const { policy, insecure, silent } = options
  if (policy !== undefined && insecure) throw new UsageError('--policy and --insecure exclude each other')
  if (policy !== undefined) {
    const accepted = parseAttestationPolicy(await readPolicy(policy))
    return { attestation: { policy: accepted, onVerdict, ...await readProvenance(options, accepted, fetch) } }
  }
  if (!insecure) {
    throw new UsageError(
      'give a --policy (see polaris policy init), or say --insecure: an attacker on the way can then read everything'
    )
  }
  if (silent !== true) process.stderr.write('polaris: insecure: the proxy did not prove its keys\n')
  return {}
}

async function writeJson (response: Response): Promise<number> {
  const bytes = Buffer.from(await response.arrayBuffer())
  const text = bytes.toString()
  const isText = Buffer.from(text).equals(bytes)
  const { status, url, redirected, headers } = response
  process.stdout.write(json({
    status,
    url,
    redirected,
    headers: [...headers],
    ...isText ? { body: text } : { bodyBase64: bytes.toString('base64') }
  }))
  return bytes.length
}
