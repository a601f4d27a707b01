/** The options of `polaris fetch`. Where curl has the same, they have curl's names and meanings. */
import { Option } from 'commander'
import type { Command } from 'commander'
import { withNetworkOptions } from '../network/network.ts'
import type { NetworkOptions } from '../network/network.ts'
import { withProvenanceOptions } from '../provenance.ts'
import type { ProvenanceOptions } from '../provenance.ts'
import { HTTP_ERROR, UsageError } from '../status.ts'
import { collect, parseCount, parseSeconds } from '../values.ts'
import { withDataOptions } from './data.ts'
import type { DataPart } from './data.ts'

export interface FetchOptions extends NetworkOptions, ProvenanceOptions {
  readonly policy?: string
  readonly insecure?: true
  readonly base?: string
  readonly clock: 'local' | 'gateway'
  readonly request?: string
  readonly header: readonly string[]
  readonly form: readonly string[]
  readonly get?: true
  readonly head?: true
  readonly uploadFile?: string
  readonly user?: string
  readonly userAgent?: string
  readonly location?: true
  readonly output?: string
  readonly include?: true
  readonly fail?: true
  readonly silent?: true
  readonly showError?: true
  readonly verbose?: true
  readonly json?: true
  readonly writeOut?: string
  /** In milliseconds. */
  readonly maxTime?: number
  readonly retry: number
}

const COMPRESSED = '--compressed is refused: the length of what is compressed tells an observer about its content, ' +
  'so the proxy asks workloads for responses that are not'

export function withFetchOptions (command: Command, parts: DataPart[]): Command {
  command
    .option('-p, --policy <file>', 'what to accept as proof')
    .option('--insecure', 'instead of a policy: encrypt to whatever key is offered')
    .option('--base <url>', 'where the proxy is mounted, if not at the root of the host')
    .addOption(new Option(
      '--clock <whose>',
      'the time that requests are dated with; gateway corrects a clock that is off, if the proof has a time'
    ).choices(['local', 'gateway']).default('local'))
    .option('-X, --request <method>', 'default: GET, or POST with data')
    .addOption(
      new Option('-H, --header <name: value>', 'may be given several times').argParser(collect).default([], 'none')
    )
  withDataOptions(command, parts)
    .addOption(new Option(
      '-F, --form <name=content>',
      'multipart/form-data; @file sends a file, <file its text; ;type= and ;filename= after it'
    ).argParser(collect).default([], 'none'))
    .option('-G, --get', 'put the data into the URL\'s query')
    .option(
      '-T, --upload-file <file>',
      'PUT this file, or standard input as -; its name is added to a URL that ends with a slash'
    )
    .option('-I, --head', 'HEAD: headers only')
    .option('-u, --user <name:password>', 'basic authentication')
    .option('-A, --user-agent <name>', 'the User-Agent header')
    .option('-L, --location', 'follow redirects, encrypted and to the same proxy only')
    .option(
      '-o, --output <file>',
      'write to this file, which appears only once the response is complete; - is standard output'
    )
    .option('-i, --include', 'write status and headers before the body')
    .option('-f, --fail', `with a status of 400 or more: write no body, exit with ${HTTP_ERROR}`)
    .option('--json', 'write the response as JSON: status, headers, body')
    .option('-s, --silent', 'no progress and no messages')
    .option('-S, --show-error', 'with --silent: errors all the same')
    .option('-v, --verbose', 'on standard error: what was verified, the protocol and sizes; no content')
    .option('-w, --write-out <format>', 'after the transfer, such as \'%{http_code}\\n\'')
    .addOption(new Option('-m, --max-time <seconds>', 'for all of it').argParser(parseSeconds('--max-time')))
    .addOption(new Option(
      '--retry <times>', 'try again, but only what was certainly not sent'
    ).argParser(parseCount('--retry', 100)).default(0))
    .addOption(new Option('--compressed').hideHelp().argParser(() => { throw new UsageError(COMPRESSED) }))
    .on('option:compressed', () => { throw new UsageError(COMPRESSED) })
  return withNetworkOptions(withProvenanceOptions(command))
}
