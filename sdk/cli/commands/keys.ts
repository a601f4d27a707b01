/** polaris keys URL */
import { Command, Option } from 'commander'
import type { AttestedKey } from '../../../lib/protocols/attestation.ts'
import { ehbpKeyOf } from '../../../lib/protocols/ehbp.ts'
import { adviseOnSimulated, appraise } from '../appraise.ts'
import type { AppraiseOptions } from '../appraise.ts'
import { watchClock } from '../network/clock.ts'
import { openNetwork, withNetworkOptions } from '../network/network.ts'
import type { NetworkOptions } from '../network/network.ts'
import { withProvenanceOptions } from '../provenance.ts'
import { watchTls } from '../network/tls-key.ts'
import { REFUSED, VERIFIED } from '../status.ts'
import { NO_POLICY, json, plainKeys, renderVerdict } from '../terminal/render.ts'
import { pinOf } from '../../tls/connection.ts'

interface KeysOptions extends AppraiseOptions, NetworkOptions {
  readonly json?: boolean
  readonly format?: 'ehbp' | 'curl'
}

export function keysCommand (): Command {
  return withNetworkOptions(withProvenanceOptions(new Command('keys')
    .description('Prints the keys that a proxy proves, if the evidence is accepted.')
    .argument('<url>', 'base URL of the proxy')
    .option('-p, --policy <file>', 'what to accept; without it, genuine hardware with any software')
    .option('--development', 'without a policy: accept simulated evidence')
    .option('--json', 'print the keys as JSON, with their values')
    .addOption(new Option(
      '--format <format>',
      'ehbp: print only the key for EHBP clients, in hexadecimal digits; curl: a command that pins the TLS keys'
    ).choices(['ehbp', 'curl']).conflicts('json'))))
    .addHelpText('after', `
Examples:
  $ polaris keys https://proxy.example.com --policy policy.json
  $ polaris keys https://proxy.example.com --policy policy.json --json | jq -r '.[0].value'
  $ eval "$(polaris keys https://proxy.example.com:8443 --policy policy.json --format curl)" --data @record.json
  $ EHBP_KEY=$(polaris keys https://proxy.example.com --policy policy.json --format ehbp)
`)
    .action(async (url: string, options: KeysOptions) => {
      const tls = watchTls(url, await openNetwork(options), options)
      const clock = watchClock(tls)
      const verdict = await appraise(url, options, clock)
      if (!verdict.verified) {
        process.stderr.write(
          renderVerdict(verdict, process.stderr) + adviseOnSimulated(verdict, options) + clock.advice(verdict)
        )
        process.exitCode = REFUSED
        return
      }
      // Keys are as good as their evidence, over whatever connection it came.
      await tls.seen(verdict)
      if (options.policy === undefined) process.stderr.write(NO_POLICY)
      if (options.format === 'curl') return printCurl(url, verdict.keys)
      if (options.format === 'ehbp') return printEhbpKey(verdict.keys)
      const keys = plainKeys(verdict.keys)
      process.stdout.write(
        options.json ? json(keys) : keys.map(({ kind, sha256 }) => `${kind} sha256:${sha256}\n`).join('')
      )
      process.exitCode = VERIFIED
    })
}

function printEhbpKey (keys: readonly AttestedKey[]): void {
  const key =
    keys.filter(({ kind }) => kind === 'ohttp-keys').map(({ value }) => ehbpKeyOf(value)).find(key => key !== undefined)
  if (key === undefined) {
    process.stderr.write('polaris: the evidence covers no X25519 key, which EHBP needs\n')
    process.exitCode = REFUSED
    return
  }
  process.stdout.write(`${Buffer.from(key).toString('hex')}\n`)
  process.exitCode = VERIFIED
}

/** `--insecure` leaves out certificates alone: without the pinned key there is no connection. */
function printCurl (url: string, keys: readonly AttestedKey[]): void {
  const pins = keys.filter(({ kind }) => kind === 'tls-spki').map(({ value }) => `sha256//${pinOf(value)}`)
  if (pins.length === 0) {
    process.stderr.write('polaris: the evidence covers no TLS key: set POLARIS_CONTAINER_TLS=attested there\n')
    process.exitCode = REFUSED
    return
  }
  // In quotes, a URL has nothing that means something to a shell.
  const quoted = new URL(url).href.replaceAll("'", '%27')
  process.stdout.write(`curl --insecure --pinnedpubkey '${pins.join(';')}' '${quoted}'\n`)
  process.exitCode = VERIFIED
}
