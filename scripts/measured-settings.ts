/**
 * Writes docs/attestation-settings.md: for each setting, whether the host may change it unseen, by platform, and what a
 * policy pins against it. From the table of settings, and from the image's launch policy for Confidential Space.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { groups } from '../lib/config/settings.ts'
import type { Setting } from '../lib/config/settings.ts'
import { wrapped } from './wrap.ts'

const file = new URL('../docs/attestation-settings.md', import.meta.url)
const image = readFileSync(new URL('../docker/Dockerfile', import.meta.url), 'utf8')
const overridable = new Set(/tee\.launch_policy\.allow_env_override="([^"]*)"/.exec(image)?.[1]?.split(',') ?? [])

const intro = `# What a host can change

<!-- Made by \`npm run docs\` from lib/config/settings.ts. Change it there. -->

Reference: for each setting, whether the host (the cloud, or anyone who controls the machine) can change it without a
client noticing, and what a policy pins against that. Settings are environment variables, and no platform measures
these by itself: what counts is what the platform measures of the place that they come from.

| Platform | Where settings come from | What a policy pins |
| --- | --- | --- |
| Confidential Space | The image, and the operator's overrides. The launcher refuses an override that the image does not allow, and the token lists the others | \`imageDigests\`, \`environment\` |
| Azure confidential containers | The enforcement policy names each variable with its value; host data is its hash. A pattern in place of a value, or \`allow_environment_variable_dropping\`, is room for the host | \`hostData\` |
| SEV-SNP, your own VM | The disk, cloud-init or the kernel's command line: measured only if the launch measurement covers kernel, initial RAM disk and command line, and the command line names the verity root of the disk | \`measurements\`, of such an image |
| TDX, your own VM | The same, in the run-time registers | \`measurements\`, with \`rtmr1\` and \`rtmr2\` |

In the table, *refused* means that the launcher refuses the override; *in sight* that the token or the document shows it;
*measured* that another value gives another hash; and *unseen* that a client notices nothing, unless the measurement
covers the place that the setting comes from. Where the document shows the effect of a setting, a policy can pin it on
every platform:

- \`weakenings\`: the claim of the document names it, and \`acceptedWeakenings\` refuses it
  ([weakened protections](attestation-policy.md#weakened-protections));
- keys: the keys in the document change, or are missing;
- evidence: the evidence is of another kind, issuer or audience, or does not hold what the policy demands.

**The content of files is measured nowhere**, only their names are. Files marked with * must be in the image, or be of no
harm if the host writes them; keys and certificates prove themselves or do not.

Settings that decide where opened requests go, such as \`POLARIS_CONTAINER_WORKLOAD_BASE_URL\`, are shown by nothing. On a
VM of your own, have the measurement cover them.
`

const tables = Object.entries(groups).map(([group, table]) => [
  `## ${group}`,
  '',
  '| Setting | Confidential Space | Azure containers | SEV-SNP | TDX | What a policy pins, besides image or ' +
    'measurement |',
  '| --- | --- | --- | --- | --- | --- |',
  ...Object.values<Setting>(table).map(row),
  ''
].join('\n'))
const wanted = wrapped([intro, ...tables].join('\n'))

if (process.argv.includes('--check')) {
  if (readFileSync(file, 'utf8') !== wanted) {
    console.error('docs/attestation-settings.md is stale: run `npm run docs`')
    process.exitCode = 1
  }
} else {
  writeFileSync(file, wanted)
}

function row ({ env, aliases = [], shownBy, isFile }: Setting): string {
  const allowed = [env, ...aliases].some(name => overridable.has(name))
  const elsewhere = shownBy === undefined ? 'unseen' : `in sight: ${shownBy}`
  const pins = [
    ...allowed ? ['`environment`'] : [],
    ...shownBy === 'weakenings' ? ['`acceptedWeakenings`'] : [],
    ...shownBy === 'keys' ? ['the keys that are proven'] : [],
    ...shownBy === 'evidence' ? ['the section of the platform, `devices`'] : []
  ]
  const setting = `\`${env}\`${isFile ? ' *' : ''}`
  const cells = [setting, allowed ? 'in sight' : 'refused', 'measured', elsewhere, elsewhere, pins.join(', ')]
  return `| ${cells.join(' | ')} |`
}
