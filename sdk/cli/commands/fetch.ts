/** polaris fetch URL: one encrypted request, to keys that the proxy proved. */
import { Command, Option } from 'commander'
import { parseAttestationPolicy } from '../../attestation/policy.ts'
import { UnsupportedRequestError } from '../../errors.ts'
import { createPolarisFetch } from '../../fetch/index.ts'
import { PolarisFetchError } from '../../fetch/errors.ts'
import { parseUrl, readPolicy } from '../appraise.ts'
import { isBrokenPipe, writeResponse } from '../terminal/output.ts'
import { COULD_NOT_ASK, HTTP_ERROR, REFUSED, UsageError, VERIFIED } from '../status.ts'
import { openUpload } from '../upload.ts'

interface FetchOptions {
  policy?: string
  insecure?: true
  base?: string
  request?: string
  header: string[]
  data?: string
  location?: true
  output?: string
  include?: true
  fail?: true
}

/** The response came, but nobody can say that it is the workload's, or that it is all of it. */
const NOT_AUTHENTIC = new Set(['ERR_POLARIS_RESPONSE', 'ERR_POLARIS_INCOMPLETE'])
const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

export function fetchCommand (): Command {
  return new Command('fetch')
    .description('Makes one encrypted request, after the proxy has proven its keys, and writes the response to standard output as it arrives.')
    .argument('<url>', 'what to request')
    .option('-p, --policy <file>', 'what to accept as proof')
    .option('--insecure', 'instead of a policy: encrypt to whatever key is offered')
    .option('--base <url>', 'where the proxy is mounted, if not at the root of the host')
    .option('-X, --request <method>', 'default: GET, or POST with data')
    .addOption(new Option('-H, --header <name: value>', 'may be given several times').argParser(collect).default([], 'none'))
    .option('-d, --data <data>', 'body; @file is a file, @- standard input, and both are streamed')
    .option('-L, --location', 'follow redirects, encrypted and to the same proxy only')
    .option('-o, --output <file>', 'write to this file; it appears only once the response is complete')
    .option('-i, --include', 'write status and headers before the body')
    .option('-f, --fail', `with a status of 400 or more: write no body, exit with ${HTTP_ERROR}`)
    .addHelpText('after', `
Exit status:
  ${VERIFIED}  the workload answered, and all of its answer is authentic
  ${REFUSED}  refused: the proxy does not prove its keys, or the answer is not authentic or not complete
  ${COULD_NOT_ASK}  could not ask: no answer, no usable policy, wrong usage
  ${HTTP_ERROR} with --fail: the workload answered with a status of 400 or more

Examples:
  $ polaris fetch https://proxy.example.com/records?patient=4711 --policy policy.json
  $ polaris fetch https://proxy.example.com/v1/chat -p policy.json -H 'content-type: application/json' -d @question.json
  $ tar c data | polaris fetch https://proxy.example.com/import -p policy.json -X PUT -d @- -o receipt.json
  $ polaris fetch http://localhost:3000/ --insecure --include
`)
    .action(run)
}

function collect (value: string, previous: string[]): string[] {
  return [...previous, value]
}

async function run (url: string, options: FetchOptions): Promise<void> {
  const { request, fetchOptions } = await prepare(url, options)
  try {
    const response = await createPolarisFetch(fetchOptions)(url, request)
    const failed = options.fail === true && response.status >= 400
    await writeResponse(response, { file: options.output, head: options.include === true, body: !failed })
    process.exitCode = failed ? HTTP_ERROR : VERIFIED
  } catch (error) {
    // Whoever reads has had enough.
    if (isBrokenPipe(error)) return
    if (!(error instanceof PolarisFetchError || error instanceof UnsupportedRequestError)) throw error
    process.stderr.write(`polaris: ${error.message}\n`)
    process.exitCode = NOT_AUTHENTIC.has(error.code) ? REFUSED : COULD_NOT_ASK
  }
}

/** Everything that can be wrong with how the command was called, before anything is sent. */
async function prepare (url: string, options: FetchOptions) {
  const { origin } = parseUrl(url)
  const baseURL = options.base ?? origin
  parseUrl(baseURL)

  const { request: method = options.data === undefined ? 'GET' : 'POST' } = options
  if (!METHOD.test(method) || /^(?:CONNECT|TRACE|TRACK)$/i.test(method)) throw new UsageError(`not a method that can be sent: ${method}`)
  if (options.data !== undefined && /^(?:GET|HEAD)$/i.test(method)) throw new UsageError(`a ${method} request has no body`)

  const fetchOptions = { baseURL, ...await proofFor(options) }
  const headers = parseHeaders(options.header)
  const redirect = options.location === true ? 'follow' as const : 'manual' as const
  const upload = options.data === undefined ? {} : await openUpload(options.data, headers, process.stderr)
  return { fetchOptions, request: { method, headers, redirect, ...upload } }
}

async function proofFor ({ policy, insecure }: FetchOptions) {
  if (policy !== undefined && insecure) throw new UsageError('--policy and --insecure exclude each other')
  if (policy !== undefined) return { attestation: parseAttestationPolicy(await readPolicy(policy)) }
  if (!insecure) throw new UsageError('give a --policy (see polaris policy init), or say --insecure: whoever is in the middle can then read everything')
  process.stderr.write('polaris: insecure: the proxy did not prove its keys\n')
  return {}
}

/** Values are not quoted in errors: they can be credentials. */
function parseHeaders (lines: readonly string[]): Headers {
  const headers = new Headers()
  for (const line of lines) {
    const [, name = '', value = ''] = /^([^:]*):(.*)$/s.exec(line) ?? []
    try {
      headers.append(name.trim(), value.trim())
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
      throw new UsageError('a header must be written as \'name: value\', without control characters')
    }
  }
  return headers
}
