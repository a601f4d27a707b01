// `polaris plan`: five questions, and what a first deployment needs. What it writes has to fit the Terraform module,
// the template and the tutorials, or somebody's first hour ends at an error.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseAttestationPolicy } from '../../../sdk/attestation/policy.ts'
import { CLI, polaris } from '../../fixtures/polaris-cli.ts'
import { root } from '../../fixtures/script.ts'

/** As Terraform's strings hold one. */
const reference = (name: string) => '$' + `{${name}}`
const digest = `sha256:${'0a'.repeat(32)}`
const GOOGLE = [
  '--project', 'my-project', '--project-number', '123456789012', '--image',
  `europe-west4-docker.pkg.dev/my-project/proxy/proxy@${digest}`
]
const AZURE = [
  '--subscription', '00000000-0000-0000-0000-000000000000', '--name', 'my-polaris',
  '--proxy-image', `docker.io/polaris/proxy@${digest}`, '--workload-image', `docker.io/polaris/workload@${digest}`,
  '--sidecar-image', `mcr.microsoft.com/aci/skr@${digest}`
]

type Files = Record<string, string>
const filesOf = async (cloud: string, words: string[]): Promise<Files> => {
  const { status, stdout, stderr } = await polaris(['plan', cloud, ...words, '--json'])
  t.equal(status, 0, stderr)
  return (JSON.parse(stdout) as { files: Files }).files
}
const plans = { google: await filesOf('google', GOOGLE), azure: await filesOf('azure', AZURE) }
const read = (path: string) => readFileSync(join(root, path), 'utf8')

t.test('the files are written to a new directory, the scripts to be run, and never over a plan that is ' +
  'there', async t => {
  const output = join(t.testdir(), 'plan')
  const { status, stdout, stderr } = await polaris(['plan', 'google', ...GOOGLE, '--output', output])
  t.match({ status, stdout }, { status: 0, stdout: '' })
  t.match(stderr, /deploy\.sh and verify\.sh/)
  t.same(readdirSync(output).sort(), Object.keys(plans.google).sort())
  for (const [name, content] of Object.entries(plans.google)) {
    t.equal(readFileSync(join(output, name), 'utf8'), content, name)
  }
  for (const name of readdirSync(output).filter(name => name.endsWith('.sh'))) {
    t.equal(spawnSync('bash', ['-n', join(output, name)]).status, 0, name)
    const { status, stdout } = spawnSync('shellcheck', [join(output, name)], { encoding: 'utf8' })
    t.ok(status === 0 || status === null, stdout)
  }
  t.match(
    await polaris(['plan', 'google', ...GOOGLE, '--output', output]), { status: 2, stderr: /cannot write .*EEXIST/ }
  )
})

t.test('every script is valid bash, and shellcheck finds nothing in it where it is installed', async t => {
  for (const [cloud, files] of Object.entries(plans)) {
    for (const [name, input] of Object.entries(files).filter(([name]) => name.endsWith('.sh'))) {
      t.equal(spawnSync('bash', ['-n'], { input }).status, 0, `${cloud} ${name}`)
      const { status, stdout } = spawnSync('shellcheck', ['-'], { input, encoding: 'utf8' })
      t.ok(status === 0 || status === null, stdout)
    }
  }
})

t.test('on Google Cloud, the variables are the module\'s, and all that it needs', async t => {
  const declared = new Map([
    ...read('examples/terraform/google/variables.tf').matchAll(/^variable "(\w+)" \{([^]*?)^\}/gm)
  ].map(([, name = '', body = '']) => [name, body]))
  const given = [...plans.google['terraform.tfvars']?.matchAll(/^(\w+) += /gm) ?? []].map(([, name = '']) => name)
  t.same(given.filter(name => !declared.has(name)), [])
  t.same([...declared].filter(([name, body]) => !/^ {2}default/m.test(body) && !given.includes(name)), [])
})

t.test('on Google Cloud, the policy names every setting that the module gives, with its value', async t => {
  const { platforms: { 'google-confidential-space': policy } } = parseAttestationPolicy(plans.google['policy.json'])
  const main = read('examples/terraform/google/main.tf')
  const [, block = ''] = /^ {2}environment = \{\n([^]*?)^ {2}\}/m.exec(main) ?? []
  const values: Record<string, string> = {
    'var.workload_base_url': 'http://127.0.0.1:3001',
    'var.project_id': 'my-project',
    'var.region': 'europe-west4',
    'local.key_ring': 'polaris-proxy',
    'local.key': 'polaris-proxy',
    'join(",", var.key_versions)': '1',

    [`"//iam.googleapis.com/${reference('local.pool_path')}/providers/${reference('local.provider')}"`]:
      '//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/polaris-proxy/providers/confidential-space'
  }
  const wanted = [...block.matchAll(/^ +(\w+) += (.*)$/gm)].map(
    ([, name = '', value = '']) => [name, [values[value] ?? JSON.parse(value) as string]]
  )
  t.same(policy?.environment, Object.fromEntries(wanted))
  t.same(policy?.serviceAccounts, ['polaris-proxy-vm@my-project.iam.gserviceaccount.com'])
  t.match(main, `account_id   = "${reference('var.name')}-vm"`)
  t.same(policy?.imageDigests, [digest])
  t.same(policy?.hardwareModels, ['GCP_AMD_SEV'])
  t.same(parseAttestationPolicy(
    (await filesOf('google', [...GOOGLE, '--technology', 'TDX']))['policy.json']
  ).platforms['google-confidential-space']?.hardwareModels, ['GCP_INTEL_TDX'])
})

t.test('on Azure, the parameters are the template\'s, and all that it needs but what policy.sh adds', async t => {
  const { parameters: declared, outputs } = JSON.parse(read('examples/azure-aci/mainTemplate.json')) as {
    parameters: Record<string, { defaultValue?: string }>, outputs: object
  }
  const { parameters: given } = JSON.parse(plans.azure['parameters.json'] ??
    '') as { parameters: Record<string, { value: string }> }
  t.same(Object.keys(given).filter(name => declared[name] === undefined), [])
  t.same(
    Object.keys(declared).filter(name => declared[name]?.defaultValue === undefined && given[name] === undefined),
    ['ccePolicy', 'hostData']
  )
  const named = [...plans.azure['verify.sh']?.matchAll(/outputs\.(\w+)\./g) ?? []].map(([, name = '']) => name)
  t.same(named.filter(name => !Object.hasOwn(outputs, name)), [])
  const policy = parseAttestationPolicy(plans.azure['policy.json'])
  t.same(
    policy.platforms['azure-maa'], { issuers: [`https://${given['maaEndpoint']?.value}`], hostData: ['0'.repeat(64)] },
    'nothing satisfies it yet'
  )
})

t.test('what the scripts call is there', async t => {
  for (const text of Object.values(plans).flatMap(files => Object.values(files))) {
    for (const [, path = ''] of text.matchAll(/(?:^|[ =])(examples\/[\w./-]+)/gm)) {
      t.ok(existsSync(join(root, path)), path)
    }
    for (const [, command = ''] of text.matchAll(/npx polaris (\w+)/g)) {
      t.equal((await polaris([command, '--help'])).status, 0, command)
    }
    for (const [, resource = ''] of text.matchAll(/ (google_\w+\.\w+)/g)) {
      t.ok(read('examples/terraform/google/main.tf').includes(`resource "${resource.replace('.', '" "')}"`), resource)
    }
  }
})

for (const [cloud, files] of Object.entries(plans)) {
  t.test(`the tutorial for ${cloud} shows the commands of the scripts, and no others but its first step's`, async t => {
    const scripts = Object.entries(files).filter(([name]) => name.endsWith('.sh')).map(
      ([, text]) => text.split('\n').map(line => line.trim())
    ).flat()
    const tutorial = read(`docs/tutorial-${cloud}.md`)
    const blocks = [...tutorial.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, text = '']) => text)
    const lines = blocks.join('').split('\n').map(line => line.trim()).filter(Boolean)
    const before = [
      /^npm ci$/, /^npx polaris plan \w+$/, /^gcloud (?:auth|config|artifacts) /,
      /^gcloud services enable artifactregistry/, /^examples\/confidential-space\/build\.sh /
    ]
    t.same(lines.filter(line => !scripts.includes(line) && !before.some(pattern => pattern.test(line))), [])
    for (const text of blocks) t.equal(spawnSync('bash', ['-n'], { input: text }).status, 0, text)
  })
}

t.test('mistakes are 2, and say which option is missing or what form it has', async t => {
  for (const [words, stderr] of [
    [['google'], /missing: --project, --project-number, --image\n$/],
    [['azure', '--name', 'x'], /--name has to be 3 to 24/],
    [['google', ...GOOGLE, '--technology', 'SGX'], /--technology has to be SEV or TDX/],
    [
      ['google', ...GOOGLE, '--image', 'registry.example.com/proxy:latest'],
      /--image has to be an image with its digest/
    ],
    [['google', ...GOOGLE, '--project', 'x"\ny'], /--project has to be/],
    [['aws'], /unknown command|too many|Usage/]
  ] as const) t.match(await polaris(['plan', ...words]), { status: 2, stdout: '', stderr })
})

t.test('at a terminal it asks what no option has answered, proposes defaults, and asks again for what has another form',
  { skip: spawnSync('script', ['--version']).status !== 0 && 'script, of util-linux, is not installed' }, async t => {
    const output = join(t.testdir(), 'plan')
    const command = [process.execPath, CLI, 'plan', 'google', '--image', GOOGLE[5] ?? '', '--output', output].join(' ')
    const child = spawn(
      'script', ['--quiet', '--return', '--command', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] }
    )
    let screen = ''
    let seen = 0
    const dialogue = [
      ['Project id: ', 'My Project'], ['Project id: ', 'my-project'], ['PROJECT): ', '123456789012'],
      ['[europe-west4]: ', ''], ['[SEV]: ', 'TDX']
    ] as const
    let turn = 0
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      screen += text
      const [prompt, answer] = dialogue[turn] ?? ['\0', '']
      const at = screen.indexOf(prompt, seen)
      if (at === -1) return
      seen = at + prompt.length
      turn++
      child.stdin.write(`${answer}\r`)
    })
    const [code] = await once(child, 'close') as [number]
    t.equal(code, 0, screen)
    t.match(screen, /That has to be the id of a project/)
    t.match(screen, /Region \[europe-west4\]/)
    const variables = readFileSync(join(output, 'terraform.tfvars'), 'utf8')
    t.match(variables, /^region +=/m)
    t.match(variables, /confidential_instance_type = "TDX"\nmachine_type +.*"c3-standard-4"/)
  })
